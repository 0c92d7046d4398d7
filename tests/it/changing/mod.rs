//! Changes of credentials by the whole program: a daemon with its store on disk, told by its command line, at real servers.
//! It must never look into a store, nor take the program's word for what a server or a file holds.

mod back;
mod gate;
mod keys;
mod killed;
mod secrets;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use self::gate::Gate;
use crate::{
    openbao::{self, Server},
    program::{Manager, PATIENCE, Place, Running, Said},
    vault::POLICY,
};

/// What the token of whoever changes secret ids may do.
const HANDS: &str = r#"
path "auth/approle/role/+" { capabilities = ["read"] }
path "auth/approle/role/+/role-id" { capabilities = ["read"] }
path "auth/approle/role/+/secret-id" { capabilities = ["list", "update"] }
path "auth/approle/role/+/secret-id/" { capabilities = ["list"] }
path "auth/approle/role/+/secret-id/lookup" { capabilities = ["update"] }
path "auth/approle/role/+/secret-id-accessor/lookup" { capabilities = ["update"] }
path "auth/approle/role/+/secret-id-accessor/destroy" { capabilities = ["update"] }
path "secret/data/*" { capabilities = ["create", "read", "update"] }
path "secret/delete/*" { capabilities = ["update"] }
"#;

/// What is waited for in a change that a test wants to see the end of.
const SHORT: &str = "overlap = \"1s\"\nquiet = \"1s\"\nblind = \"2s\"\nwatch = \"1s\"\nlook_every = \"1s\"\n";

/// Plays played at once: each mostly waits.
const ABREAST: usize = 6;

/// A server with AppRoles, and the tokens of whoever looks and acts there.
struct Bao {
    server: Server,
    eyes: String,
    hands: String,
    worlds: AtomicUsize,
}

/// One AppRole whose secret id is in a secret and in a file, and a daemon's place that may change it. Whatever acts passes a gate.
struct World<'b> {
    bao: &'b Bao,
    gate: Gate,
    place: Place,
    role: String,
    role_id: String,
    /// The secret id that is to be changed: its accessor, its value.
    old: (String, String),
}

impl Bao {
    fn open() -> Option<Self> {
        let server = openbao::own()?;
        server.write("sys/auth/approle", &json!({ "type": "approle" }));
        let (eyes, hands) = (server.token("eyes", POLICY), server.token("hands", HANDS));
        Some(Self { server, eyes, hands, worlds: AtomicUsize::default() })
    }

    /// A world whose entry has these windows. Nobody decided anything yet.
    fn world(&self, windows: &str) -> World<'_> {
        self.world_with(windows, None)
    }

    /// The same, with more in the program's environment.
    fn world_with(&self, windows: &str, more: Option<(&'static str, &'static str)>) -> World<'_> {
        let role = format!("app-{}", self.worlds.fetch_add(1, Ordering::Relaxed));
        self.server.write(&format!("auth/approle/role/{role}"), &json!({ "token_ttl": "5m" }));
        let (_, told) = self.server.ask("GET", &format!("auth/approle/role/{role}/role-id"), None);
        let made = self.server.write(&format!("auth/approle/role/{role}/secret-id"), &json!({}));
        let word = |it: &Value| it.as_str().unwrap().to_owned();
        let old = (word(&made["secret_id_accessor"]), word(&made["secret_id"]));
        let data = json!({ "data": { "SECRET_ID": old.1, "more": "stays" } });
        self.server.write(&format!("secret/data/{role}/kept"), &data);

        let leaked = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
        let place = Place::new().with([("EYES", leaked(&self.eyes)), ("HANDS", leaked(&self.hands))]).with(more);
        fs::create_dir(place.path("app")).unwrap();
        fs::write(place.path("app/secret-id"), &old.1).unwrap();
        fs::set_permissions(place.path("app/secret-id"), fs::Permissions::from_mode(0o600)).unwrap();
        // Consumers are told by this; it waits where a test wants it to, before it is done or after.
        let reload = place.path("app/reload");
        let text = "#!/bin/sh\ncd \"${0%/*}\" || exit 9\nwait_while() { echo >>at-$1; while [ -e $1 ]; do sleep 0.02; done; }\n\
                    [ -e refuse ] && exit 1\nwait_while before\necho >>reloaded\nwait_while after\n";
        fs::write(&reload, text).unwrap();
        fs::set_permissions(&reload, fs::Permissions::from_mode(0o755)).unwrap();
        let gate = Gate::to(self.server.port());
        let (place, uid) = place.of_somebody();
        let (people, file) = (place.path("people.toml"), place.path("app/secret-id"));
        fs::write(&people, format!("[[persons]]\nid = \"ann\"\nuid = {uid}\n")).unwrap();
        let through = format!("address = {:?}\ntoken = \"env:HANDS\"\n", gate.url());
        place.write_configuration(&format!(
            "[store]\nmin_free = \"1MiB\"\n[people]\nfile = {people:?}\n\
             [[sources]]\nname = \"bao\"\nconnector = \"vault\"\npace = \"full\"\naccept_blind_spots = true\naddress = {:?}\ntoken = \"env:EYES\"\n\
             [[rotations]]\nname = \"approles\"\nkind = \"vault_approle_secret_id\"\nenabled = true\n{windows}{through}\
             [[rotations.places]]\nkind = \"vault_kv\"\n{through}mount = \"secret\"\npath = \"{role}/kept\"\nfields = {{ secret_id = \"SECRET_ID\" }}\n\
             [[rotations.places]]\nkind = \"file\"\nformat = \"text\"\npart = \"secret_id\"\npath = {file:?}\n\
             reload = [{reload:?}]\n",
            self.server.url()
        ));
        let (role_id, bao) = (word(&told["data"]["role_id"]), self);
        World { bao, gate, place, role, role_id, old }
    }
}

impl World<'_> {
    fn daemon(&self) -> (Running, Manager) {
        self.place.daemon()
    }

    /// Has it looked, and the case that comes of it decided: the secret id is to be changed.
    fn decided(&self) {
        self.place.done(&["scan"]);
        let case = "\"CRED-NO-EXPIRY\" in rules && kind == \"client_secret\"";
        let cases = self.place.listed(&["cases", "list", "--where", case]);
        let id = self.external(&self.old.0);
        let of_ours = |case: &Value| self.record(case["id"].as_str().unwrap())["external_id"] == id.as_str();
        let case = cases.iter().find(|case| of_ours(case)).unwrap_or_else(|| panic!("no case of {id}: {cases:#?}"));
        let case = case["id"].as_str().unwrap();
        self.place.done(&["cases", "act", case, "--remedy", "rotate", "--reason", "it has no end"]);
    }

    fn record(&self, id: &str) -> Value {
        let shown = self.place.done(&["inventory", "show", id, "-o", "json"]);
        serde_json::from_str(&shown.out).unwrap()
    }

    /// What the inventory calls a secret id of the role.
    fn external(&self, accessor: &str) -> String {
        let (_, told) = self.bao.server.ask("GET", "sys/internal/ui/mounts/auth/approle", None);
        format!("{}/{}/{accessor}", told["data"]["accessor"].as_str().unwrap(), self.role)
    }

    /// The one change there is, as it is listed; nothing before it is planned.
    fn row(&self) -> Option<Value> {
        let mut all = self.place.listed(&["rotate", "status", "--all"]);
        assert!(all.len() < 2, "one decision is one change: {all:#?}");
        all.pop()
    }

    /// The same in full.
    fn change(&self) -> Value {
        serde_json::from_str(&self.place.done(&["rotate", "status", &self.id(), "-o", "json"]).out).unwrap()
    }

    /// The change's id.
    fn id(&self) -> String {
        self.row().unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// Waits until the change is in that state.
    fn becomes(&self, state: &str) {
        self.waits(&format!("it is {state}"), |change| change["state"] == state);
    }

    /// Waits until it is so of the change.
    fn waits(&self, what: &str, so: impl Fn(&Value) -> bool) {
        let (since, mut last) = (Instant::now(), Value::Null);
        while since.elapsed() < PATIENCE {
            last = self.row().unwrap_or_default();
            if so(&last) {
                return;
            }
            // To ask costs more than to wait.
            std::thread::sleep(Duration::from_millis(250));
        }
        panic!("waited in vain: {what}, but {last:#}\n{:#?}\n{}", self.gate.calls(), self.place.log());
    }

    /// Accessors of the role's secret ids, as the server has them.
    fn accessors(&self) -> Vec<String> {
        let (_, listed) = self.bao.server.ask("LIST", &format!("auth/approle/role/{}/secret-id", self.role), None);
        serde_json::from_value(listed["data"]["keys"].clone()).unwrap_or_default()
    }

    /// Whether the role is let in with that secret id.
    fn lets_in(&self, secret_id: &str) -> bool {
        let body = json!({ "role_id": self.role_id, "secret_id": secret_id });
        self.bao.server.ask("POST", "auth/approle/login", Some(&body)).0 == 200
    }

    /// The value in the secret, and that in the file.
    fn held(&self) -> [String; 2] {
        let (_, secret) = self.bao.server.ask("GET", &format!("secret/data/{}/kept", self.role), None);
        assert_eq!(secret["data"]["data"]["more"], "stays", "{secret:#}");
        let file = fs::read_to_string(self.place.path("app/secret-id")).unwrap();
        [secret["data"]["data"]["SECRET_ID"].as_str().unwrap().to_owned(), file.trim().to_owned()]
    }

    /// The change is done: one secret id is there, it is new, and it is what consumers find.
    fn is_done(&self) {
        let [secret, file] = self.held();
        assert_eq!(secret, file, "both places have the same");
        assert!(secret != self.old.1 && self.lets_in(&secret) && !self.lets_in(&self.old.1));
        let left = self.accessors();
        assert!(left.len() == 1 && left[0] != self.old.0, "{left:?}");
        let change = self.change();
        assert_eq!(change["new"], self.external(&left[0]).as_str(), "{change:#}");
        self.nothing_is_left();
        self.is_proven();
    }

    /// No former value is kept beside the file.
    fn nothing_is_left(&self) {
        let beside: Vec<String> = fs::read_dir(self.place.path("app"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains("secret-id") && name != "secret-id")
            .collect();
        assert!(beside.is_empty(), "{beside:?}");
    }

    /// Everything is as it was.
    fn is_restored(&self) {
        assert_eq!(self.held(), [self.old.1.as_str(), self.old.1.as_str()]);
        assert!(self.lets_in(&self.old.1));
        assert_eq!(self.accessors(), [self.old.0.as_str()], "the new one is gone");
        self.nothing_is_left();
        self.is_proven();
    }

    /// What was done is proven.
    fn is_proven(&self) {
        let exported = self.place.done(&["evidence", "export"]).out;
        let file = self.place.path("evidence.ndjson");
        fs::write(&file, &exported).unwrap();
        let heads = self.place.path("heads.ndjson");
        fs::write(&heads, self.place.done(&["evidence", "head", "-o", "ndjson"]).out).unwrap();
        let words = ["evidence", "verify", file.to_str().unwrap(), "--checkpoint", heads.to_str().unwrap()];
        let verified = self.place.done(&words).out;
        assert!(verified.contains("all of them hold"), "{verified}");
        let exhibits: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let change = self.change();
        let state = change["change"]["state"].as_str().unwrap();
        for kind in ["change.planned", "change.ended"] {
            let told: Vec<&Value> = exhibits.iter().filter(|line| line["type"] == kind).collect();
            assert!(told.len() == 1 && fact(told[0], "saga") == change["change"]["id"].as_str(), "{kind}: {told:#?}");
            assert!(kind == "change.planned" || fact(told[0], "said") == Some(state), "{told:#?}");
        }
    }

    /// How often consumers were told.
    fn reloads(&self) -> usize {
        fs::read_to_string(self.place.path("app/reloaded")).map_or(0, |text| text.lines().count())
    }

    fn app(&self, name: &str) -> PathBuf {
        self.place.path("app").join(name)
    }

    /// Says a word about the change.
    fn word(&self, word: &str, reason: &str) -> Said {
        self.place.say(&["rotate", word, &self.id(), "--reason", reason])
    }
}

/// Plays several plays at once, a few at a time, and says which of them went wrong.
fn all_at_once<T: Sync>(plays: &[T], name: impl Fn(&T) -> String + Sync, play: impl Fn(&T) + Sync) {
    let mut wrong = Vec::new();
    for some in plays.chunks(ABREAST) {
        std::thread::scope(|scope| {
            let play = &play;
            let played: Vec<_> = some.iter().map(|it| (it, scope.spawn(move || play(it)))).collect();
            wrong.extend(played.into_iter().filter_map(|(it, play)| play.join().err().map(|_| name(it))));
        });
    }
    assert!(wrong.is_empty(), "went wrong: {wrong:?}");
}

/// What a line of evidence says under that name.
fn fact<'e>(exhibit: &'e Value, name: &str) -> Option<&'e str> {
    exhibit["facts"].as_array()?.iter().find(|fact| fact["name"] == name)?["value"].as_str()
}
