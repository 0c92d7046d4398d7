//! Against a real PostgreSQL that writes down every statement: a whole rotation, what is refused, and lost answers.
//! It must never leave a server behind.

use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::testing::{NOW, act, handed, postgres, refuses, target};

/// A server with a pair of roles, one in use, and one who acts.
struct Estate {
    server: postgres::Server,
    url: String,
}

impl Estate {
    fn new() -> Option<Self> {
        // Two that make the first server of a build at once are in each other's way.
        static ONE_BY_ONE: Mutex<()> = Mutex::new(());
        let server = {
            let _turn = ONE_BY_ONE.lock().unwrap();
            postgres::own(false)?
        };
        let url = server.fresh();
        let estate = Self { server, url };
        let hba = estate.ask("SHOW hba_file");
        // By the password's verifier only, as it should be anywhere.
        estate.ask(&format!(
            "COPY (VALUES ('local all all trust'), ('host all all 127.0.0.1/32 scram-sha-256')) TO '{}'",
            hba.trim()
        ));
        for statement in [
            "ALTER SYSTEM SET log_statement = 'all'",
            "ALTER SYSTEM SET log_min_duration_statement = 0",
            "ALTER SYSTEM SET log_min_error_statement = 'debug5'",
            "SELECT pg_reload_conf()",
            "CREATE ROLE owner NOLOGIN",
            "CREATE ROLE \"app-a\" LOGIN PASSWORD 'first-password-of-a' IN ROLE owner",
            "CREATE ROLE \"app-b\" NOLOGIN IN ROLE owner",
            "COMMENT ON ROLE \"app-b\" IS 'the shop''s \\ other one'",
            "CREATE ROLE acts LOGIN CREATEROLE PASSWORD 'acts-password'",
        ] {
            estate.ask(statement);
        }
        Some(estate)
    }

    fn ask(&self, sql: &str) -> String {
        self.server.query(&self.url, sql)
    }

    fn database(&self) -> String {
        self.ask("SELECT current_database()").trim().to_owned()
    }

    fn settings(&self, port: u16) -> Value {
        json!({ "host": "127.0.0.1", "port": port, "database": self.database(), "user": "acts", "tls": "off",
            "password": "env:acts-password", "pair": ["app-a", "app-b"], "valid_days": 36_500 })
    }

    fn logins(&self) -> Box<dyn Rotator> {
        rotator(self.settings(self.server.port()))
    }

    fn log(&self) -> String {
        let data = self.ask("SHOW data_directory");
        fs::read_to_string(std::path::Path::new(data.trim()).parent().unwrap().join("log")).unwrap()
    }

    async fn session(&self, role: &str, password: &str) -> PgConnection {
        let url = format!("postgres://{role}:{password}@127.0.0.1:{}/{}", self.server.port(), self.database());
        PgConnection::connect(&format!("{url}?sslmode=disable")).await.unwrap()
    }
}

fn rotator(settings: Value) -> Box<dyn Rotator> {
    (SPEC.build)(&handed(settings)).unwrap()
}

fn app(role: &str) -> Target {
    target(Kind::Password, role, "shop")
}

fn slots(slots: &[Slot]) -> Vec<(&str, bool)> {
    slots.iter().map(|it| (it.id.as_str(), it.active)).collect()
}

#[tokio::test]
async fn a_login_is_rotated_there_and_back_and_no_password_reaches_the_servers_log() {
    let Some(estate) = Estate::new() else { return };
    let (logins, order) = (estate.logins(), act(Remedy::Rotate));
    let mut used = estate.session("app-a", "first-password-of-a").await;
    assert!(logins.check().await.unwrap().contains("one is in use"));
    assert_eq!(logins.own(), ["acts"]);
    let a = app("app-a");
    let before = logins.look(&a).await.unwrap();
    assert_eq!(slots(&before), [("app-a", true)]);
    assert_eq!((before[0].used_at, before[0].made_at), (Reading::Known(NOW), Reading::NotReported));

    let minted = logins.mint(&order, &a, "provost one", &Bundle::default()).await.unwrap();
    assert_eq!(minted.id, "app-b");
    assert_eq!(minted.value.parts().collect::<Vec<_>>(), ["password", "user"]);
    let seen = logins.look(&a).await.unwrap();
    assert_eq!(slots(&seen), [("app-a", true), ("app-b", true)]);
    assert_eq!((seen[1].mark.as_deref(), seen[1].used_at), (Some("provost one"), Reading::NotReported));
    assert_eq!(
        estate.ask("SELECT shobj_description('\"app-b\"'::regrole, 'pg_authid')"),
        "provost one\nthe shop's \\ other one\n"
    );
    let until = estate.ask("SELECT extract(epoch FROM rolvaliduntil)::bigint FROM pg_roles WHERE rolname = 'app-b'");
    assert_eq!(until.trim(), (NOW + Span::days(36_500)).as_seconds().to_string());
    logins.verify(&a, "app-b", &minted.value).await.unwrap();
    // There is no idle one now.
    let full = logins.mint(&order, &a, "provost two", &Bundle::default()).await.unwrap_err();
    assert!(matches!(full, ActionError::GiveUp { .. }), "{full}");
    logins.verify(&a, "app-b", &minted.value).await.unwrap();

    logins.disable(&order, &a, "app-a").await.unwrap();
    logins.disable(&order, &a, "app-a").await.unwrap();
    assert_eq!(slots(&logins.look(&a).await.unwrap()), [("app-a", false), ("app-b", true)]);
    sqlx::query("SELECT 1").execute(&mut used).await.unwrap();
    logins.enable(&order, &a, "app-a").await.unwrap();
    logins.enable(&order, &a, "app-a").await.unwrap();
    assert_eq!(slots(&logins.look(&a).await.unwrap()), [("app-a", true), ("app-b", true)]);
    logins.disable(&order, &a, "app-a").await.unwrap();

    // The other way round there is room only when nobody is logged in as the old one any more.
    let b = app("app-b");
    assert_eq!(slots(&logins.look(&b).await.unwrap()), [("app-b", true), ("app-a", false)]);
    assert!(matches!(
        logins.mint(&order, &b, "provost two", &Bundle::default()).await,
        Err(ActionError::GiveUp { .. })
    ));
    used.close().await.unwrap();
    while logins.look(&b).await.unwrap().len() > 1 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let back = logins.mint(&order, &b, "provost two", &Bundle::default()).await.unwrap();
    logins.verify(&b, "app-a", &back.value).await.unwrap();
    let other = logins.verify(&b, "app-b", &back.value).await.unwrap_err();
    assert!(matches!(other, ActionError::GiveUp { .. }), "{other}");
    // One that was made and is not wanted: it is idle again, and its password is gone.
    logins.delete(&order, &b, "app-a").await.unwrap();
    logins.delete(&order, &b, "app-a").await.unwrap();
    assert_eq!(slots(&logins.look(&b).await.unwrap()), [("app-b", true)]);
    assert_eq!(estate.ask("SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = 'app-a'").trim(), "t");
    assert_eq!(estate.ask("SELECT shobj_description('\"app-a\"'::regrole, 'pg_authid') IS NULL").trim(), "t");
    let gone = logins.verify(&b, "app-a", &back.value).await.unwrap_err();
    assert!(matches!(gone, ActionError::GiveUp { .. }), "{gone}");

    let log = estate.log();
    assert!(log.contains("ALTER ROLE \"app-b\" PASSWORD 'SCRAM-SHA-256$4096:"), "the server writes statements down");
    for minted in [&minted, &back] {
        let password = minted.value.get(PASSWORD).unwrap().expose_secret();
        assert!(password.len() == 32 && !log.contains(password));
        assert!(!format!("{minted:?} {gone:?} {full:?} {other:?}").contains(password));
    }
}

#[tokio::test]
async fn an_idle_role_that_cannot_do_the_same_is_not_taken() {
    let Some(estate) = Estate::new() else { return };
    let (logins, order, a) = (estate.logins(), act(Remedy::Rotate), app("roles/app-a"));
    for (spoil, mend, says) in [
        ("CREATE ROLE more; GRANT more TO \"app-a\"", "REVOKE more FROM \"app-a\"", "member"),
        ("ALTER ROLE \"app-a\" CREATEDB", "ALTER ROLE \"app-a\" NOCREATEDB", "attributes"),
        ("ALTER ROLE \"app-a\" SET role = owner", "ALTER ROLE \"app-b\" SET role = owner", "settings"),
        ("CREATE SCHEMA s AUTHORIZATION \"app-a\"", "ALTER SCHEMA s OWNER TO owner", "owns"),
    ] {
        estate.ask(spoil);
        let error = logins.mint(&order, &a, "provost x", &Bundle::default()).await.unwrap_err();
        assert!(matches!(&error, ActionError::GiveUp { said } if said.contains(says)), "{says}: {error}");
        assert_eq!(slots(&logins.look(&a).await.unwrap()), [("roles/app-a", true)], "nothing was changed");
        estate.ask(mend);
    }
    assert_eq!(logins.mint(&order, &a, "provost x", &Bundle::default()).await.unwrap().id, "roles/app-b");
    // Whose it is tells it too; what is none of the two is no target.
    let held = target(Kind::Password, "database/static-roles/7", "app-b");
    assert_eq!(slots(&logins.look(&held).await.unwrap()), [("database/static-roles/7", true), ("app-a", true)]);
    for strange in ["xapp-a", "postgres", ""] {
        assert!(matches!(logins.look(&app(strange)).await, Err(ActionError::GiveUp { .. })), "{strange}");
    }
    let stranger = logins.disable(&order, &a, "postgres").await;
    assert!(matches!(stranger, Err(ActionError::GiveUp { .. })));
}

#[tokio::test]
async fn whoever_may_not_act_changes_nothing_and_says_no_password() {
    let Some(estate) = Estate::new() else { return };
    let order = act(Remedy::Rotate);
    let mut wrong = estate.settings(estate.server.port());
    wrong["password"] = "env:s3cret-and-wrong".into();
    let error = rotator(wrong).mint(&order, &app("app-a"), "provost x", &Bundle::default()).await.unwrap_err();
    assert!(error.may_repeat() && !format!("{error} {error:?}").contains("s3cret"), "{error}");
    estate.ask("ALTER ROLE acts NOCREATEROLE");
    let error = estate.logins().mint(&order, &app("app-a"), "provost x", &Bundle::default()).await.unwrap_err();
    assert!(error.may_repeat() && error.said().contains("42501"), "{error}");
    assert_eq!(slots(&estate.logins().look(&app("app-a")).await.unwrap()), [("app-a", true)]);
    estate.ask("DROP ROLE \"app-b\"");
    assert!(matches!(estate.logins().check().await, Err(ActionError::GiveUp { .. })));
}

/// A proxy that ends the connection when a statement goes by: before it arrives, or after.
async fn cutting(port: u16, statement: &'static str, arrives: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let spent = Arc::new(AtomicBool::new(false));
        while let Ok((client, _)) = listener.accept().await {
            let spent = spent.clone();
            tokio::spawn(async move {
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let ((mut from, mut back), (mut answers, mut to)) = (client.into_split(), server.into_split());
                let silent = Arc::new(AtomicBool::new(false));
                let mute = silent.clone();
                let answered = tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    while let Ok(read @ 1..) = answers.read(&mut buffer).await {
                        if !silent.load(Ordering::SeqCst) {
                            back.write_all(&buffer[..read]).await.unwrap();
                        }
                    }
                });
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = from.read(&mut buffer).await {
                    let cut = String::from_utf8_lossy(&buffer[..read]).contains(statement)
                        && !spent.swap(true, Ordering::SeqCst);
                    if cut && !arrives {
                        break;
                    }
                    mute.store(cut, Ordering::SeqCst);
                    to.write_all(&buffer[..read]).await.unwrap();
                    if cut {
                        // The server does what it was sent before it sees the end.
                        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                        break;
                    }
                }
                answered.abort();
            });
        }
    });
    own
}

#[tokio::test]
async fn a_lost_answer_to_commit_is_ambiguous_and_one_before_it_changed_nothing() {
    let Some(estate) = Estate::new() else { return };
    let (order, a) = (act(Remedy::Rotate), app("app-a"));
    let through = |port| rotator(estate.settings(port));
    for (statement, arrives) in [("ALTER ROLE", false), ("ALTER ROLE", true), ("COMMENT ON", true)] {
        let port = cutting(estate.server.port(), statement, arrives).await;
        let error = through(port).mint(&order, &a, "provost x", &Bundle::default()).await.unwrap_err();
        assert!(error.may_repeat(), "{statement}: {error}");
        assert_eq!(slots(&estate.logins().look(&a).await.unwrap()), [("app-a", true)]);
    }
    let port = cutting(estate.server.port(), "COMMIT", false).await;
    let error = through(port).mint(&order, &a, "provost x", &Bundle::default()).await.unwrap_err();
    assert!(matches!(error, ActionError::Ambiguous { .. }), "{error}");
    assert_eq!(slots(&estate.logins().look(&a).await.unwrap()), [("app-a", true)]);
    let port = cutting(estate.server.port(), "COMMIT", true).await;
    let error = through(port).mint(&order, &a, "provost y", &Bundle::default()).await.unwrap_err();
    assert!(matches!(error, ActionError::Ambiguous { .. }), "{error}");
    let seen = estate.logins().look(&a).await.unwrap();
    assert_eq!((slots(&seen), seen[1].mark.as_deref()), (vec![("app-a", true), ("app-b", true)], Some("provost y")));
}

#[test]
fn the_example_works_and_settings_that_make_no_sense_are_refused_by_name() {
    let changes = [
        (json!({ "pair": ["hunter2", "hunter2"] }), "pair"),
        (json!({ "pair": ["hunter2"] }), "pair"),
        (json!({ "user": "app_a" }), "user"),
        (json!({ "tls": "off" }), "tls"),
        (json!({ "tls": "hunter2" }), "tls"),
        (json!({ "port": "hunter2" }), "port"),
        (json!({ "password": "hunter2" }), "password"),
        (json!({ "hunter": "hunter2" }), "hunter"),
    ];
    refuses(SPEC.build, SPEC.example, changes);
}
