//! A key of a real SSH server: the change that disables the old one first, killed and taken back where it stands so.
//! It must never take a line of the file for a key that works: whether one is let in, the server says.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, lchown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::SHORT;
use crate::{
    program::{PATIENCE, Place, until},
    sshd::{self, Server},
};

/// The old one stays disabled for longer than any test.
const WATCHED: &str = "overlap = \"1s\"\nquiet = \"1s\"\nblind = \"1s\"\nwatch = \"1d\"\nlook_every = \"1s\"\n";

/// A server with one key that is let in, and a daemon's place that may change it. A consumer's half is in a file.
pub(super) struct Door {
    server: Server,
    pub(super) place: Place,
}

impl Door {
    fn open(windows: &str) -> Option<Self> {
        Self::open_with(windows, None)
    }

    /// The same, with more in the program's environment.
    pub(super) fn open_with(windows: &str, more: Option<(&'static str, &'static str)>) -> Option<Self> {
        let server = sshd::own()?;
        let place = Place::new().with(more);
        fs::create_dir(place.path("app")).unwrap();
        let old = place.path("old");
        sshd::keygen(&old);
        fs::copy(&old, place.path("app/key")).unwrap();
        let keys = server.authorized_keys();
        fs::copy(place.path("old.pub"), &keys).unwrap();
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
        let (place, uid) = place.of_somebody();
        for path in [keys.as_path(), keys.parent().unwrap()] {
            lchown(path, Some(uid), Some(uid)).unwrap();
        }
        let people = place.path("people.toml");
        fs::write(&people, format!("[[persons]]\nid = \"ann\"\nuid = {uid}\n")).unwrap();
        place.write_configuration(&format!(
            "[store]\nmin_free = \"1MiB\"\n[people]\nfile = {people:?}\n\
             [[sources]]\nname = \"door\"\nconnector = \"host\"\nroots = [{:?}]\nsystem = false\n\
             machine_id = \"0123456789abcdef0123456789abcdef\"\n\
             [[rotations]]\nname = \"logins\"\nkind = \"ssh_authorized_key\"\nenabled = true\n{windows}\
             file = {keys:?}\nlogin = \"{}@127.0.0.1:{}\"\nknown_hosts = {:?}\n\
             [[rotations.places]]\nkind = \"file\"\nformat = \"text\"\npart = \"private_key\"\npath = {:?}\n",
            keys.parent().unwrap(),
            whoami(),
            server.port(),
            server.known_hosts(),
            place.path("app/key"),
        ));
        Some(Self { server, place })
    }
}

impl Door {
    /// Has it looked, and decided that the key is changed.
    pub(super) fn decided(&self) {
        self.place.done(&["scan"]);
        let keys = self.place.listed(&["inventory", "list"]);
        assert_eq!((keys.len(), &keys[0]["kind"]), (1, &Value::from("ssh_key")), "{keys:#?}");
        let id = keys[0]["id"].as_str().unwrap();
        self.place.done(&["rotate", "run", id, "--reason", "a leaver had it"]);
    }

    /// The one change there is.
    pub(super) fn change(&self) -> Option<Value> {
        let mut all = self.place.listed(&["rotate", "status", "--all"]);
        assert!(all.len() < 2, "one decision is one change: {all:#?}");
        all.pop()
    }

    pub(super) fn waits(&self, name: &str, word: &str) {
        until(&format!("{name} is {word}: {:?}", self.change()), || {
            std::thread::sleep(Duration::from_millis(200));
            self.change().is_some_and(|change| change[name] == word)
        });
    }

    /// Lines of the file of keys: of the old one, whether each is behind a comment sign, and how many others there are.
    fn lines(&self) -> (Vec<bool>, usize) {
        let text = fs::read_to_string(self.server.authorized_keys()).unwrap();
        let public = fs::read_to_string(self.place.path("old.pub")).unwrap();
        let body = public.split(' ').nth(1).unwrap();
        let (old, new): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.contains(body));
        (old.iter().map(|line| line.starts_with('#')).collect(), new.len())
    }

    /// Whether the server lets that private half in.
    fn lets_in(&self, key: &Path) -> bool {
        let known = format!("UserKnownHostsFile={}", self.server.known_hosts().display());
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", &known]).arg("-i").arg(key);
        ssh.args(["-p", &self.server.port().to_string(), &format!("{}@127.0.0.1", whoami()), "exit 0"]);
        let ended = ssh.env_remove("SSH_AUTH_SOCK").stdin(Stdio::null()).output().unwrap();
        assert!(
            ended.status.code() == Some(0) || String::from_utf8_lossy(&ended.stderr).contains("denied"),
            "{ended:?}"
        );
        ended.status.success()
    }

    /// The half that consumers find, in a file that this process may use.
    fn held(&self) -> PathBuf {
        self.copied("app/key")
    }

    fn copied(&self, name: &str) -> PathBuf {
        let copy = self.place.path(&format!("{}-copied", name.replace('/', "-")));
        fs::write(&copy, fs::read(self.place.path(name)).unwrap()).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).unwrap();
        copy
    }

    /// Starts a daemon, and kills it as soon as that is seen of the file of keys.
    pub(super) fn killed(&self, seen: &dyn Fn((Vec<bool>, usize)) -> bool) {
        let (mut daemon, _manager) = self.place.daemon();
        let since = Instant::now();
        // Almost without a pause: what is written down of it comes within a few milliseconds.
        while !seen(self.lines()) {
            assert!(since.elapsed() < PATIENCE, "waited in vain: {:?}\n{}", self.lines(), self.place.log());
            std::thread::sleep(Duration::from_micros(200));
        }
        daemon.0.kill().unwrap();
        assert_eq!(daemon.ends(), 128 + 9);
    }

    /// The evidence about it is whole.
    fn is_proven(&self) {
        let (file, heads) = (self.place.path("evidence.ndjson"), self.place.path("heads.ndjson"));
        fs::write(&file, self.place.done(&["evidence", "export"]).out).unwrap();
        fs::write(&heads, self.place.done(&["evidence", "head", "-o", "ndjson"]).out).unwrap();
        let words = ["evidence", "verify", file.to_str().unwrap(), "--checkpoint", heads.to_str().unwrap()];
        self.place.done(&words);
    }
}

#[test]
fn killed_as_soon_as_a_key_is_added_switched_off_or_removed_the_change_is_done_all_the_same() {
    let Some(door) = Door::open(SHORT) else { return };
    assert!(door.lets_in(&door.copied("old")), "the old one works");
    door.decided();
    door.killed(&|(_, new)| new == 1);
    door.killed(&|(old, _)| old == [true]);
    door.killed(&|(old, _)| old.is_empty());
    let (_daemon, _manager) = door.place.daemon();
    door.waits("state", "done");
    assert_eq!(door.lines(), (Vec::new(), 1));
    let there = fs::read_dir(door.place.path("app")).unwrap().count();
    assert_eq!(there, 1, "no former value is kept beside the file");
    assert!(door.lets_in(&door.held()) && !door.lets_in(&door.copied("old")));
    door.is_proven();
}

#[test]
fn while_the_old_one_is_off_it_can_still_be_taken_back() {
    let Some(door) = Door::open(WATCHED) else { return };
    door.decided();
    let (_daemon, _manager) = door.place.daemon();
    door.waits("step", "watch");
    assert_eq!(door.lines(), (vec![true], 1));
    assert!(door.lets_in(&door.held()) && !door.lets_in(&door.copied("old")), "the old one is off");
    door.waits("waits", "the old one is disabled; it is seen whether somebody misses it");
    let id = door.change().unwrap()["id"].as_str().unwrap().to_owned();
    let undone = door.place.done(&["rotate", "undo", &id, "--reason", "the night job had it too"]);
    assert!(undone.out.contains("back from watch") && undone.out.contains("the night job"), "{}", undone.out);
    door.waits("state", "restored");
    assert_eq!(door.lines(), (vec![false], 0));
    let (held, old) = (door.held(), door.copied("old"));
    assert_eq!(fs::read(&held).unwrap(), fs::read(&old).unwrap());
    assert!(door.lets_in(&held));
    door.is_proven();
}

fn whoami() -> String {
    let told = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(told.stdout).unwrap().trim().to_owned()
}
