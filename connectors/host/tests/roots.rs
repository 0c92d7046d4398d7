//! A root that is not what it was says nothing about absence.

use std::fs;

use provost_model::Why;

use super::*;

async fn again(root: &Path, known: &Discovery) -> Discovery {
    discover(settings(root), &known.bookmarks()).await
}

fn grown() -> (tempfile::TempDir, std::path::PathBuf) {
    let above = tempfile::tempdir().unwrap();
    let root = above.path().join("root");
    fs::create_dir(&root).unwrap();
    fs::write(root.join(".env"), "API_TOKEN=Zx81Tq09LmNb72VcRt5Y").unwrap();
    (above, root)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_root_that_stays_is_read_whole_each_time() {
    let (_above, root) = grown();
    let first = discover(settings(&root), &Bookmarks::default()).await;
    fs::write(root.join("plain"), "x").unwrap();
    fs::remove_file(root.join(".env")).unwrap();
    let second = again(&root, &first).await;
    assert!(
        second.cover(&root).is_full() && second.entities.is_empty(),
        "a file that is really gone may be said to be"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_root_that_is_absent_replaced_or_emptied_is_partial() {
    let changed = Cover::Partial { why: Why::Changed };
    let (_above, root) = grown();
    let first = discover(settings(&root), &Bookmarks::default()).await;
    assert!(first.cover(&root).is_full());

    fs::remove_file(root.join(".env")).unwrap();
    assert_eq!(*again(&root, &first).await.cover(&root), changed, "emptied");

    fs::rename(&root, root.with_file_name("old")).unwrap();
    assert_eq!(*again(&root, &first).await.cover(&root), changed, "absent");

    fs::create_dir(&root).unwrap();
    fs::write(root.join("other"), "x").unwrap();
    let replaced = again(&root, &first).await;
    assert_eq!(*replaced.cover(&root), changed, "replaced");
    assert!(replaced.troubles.iter().any(|it| it.said.contains("replaced")), "{:?}", replaced.troubles);
    assert!(replaced.bookmarks().cursors.is_empty(), "a partial reading moves no cursor");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_understood_no_more_is_not_an_empty_one() {
    let (_above, root) = grown();
    fs::create_dir(root.join(".docker")).unwrap();
    let config = root.join(".docker/config.json");
    fs::write(&config, r#"{"auths":{"r":{"identitytoken":"Zx81Tq09LmNb72VcRt5Y"}}}"#).unwrap();
    let first = discover(settings(&root), &Bookmarks::default()).await;
    fs::write(&config, r#"{"auths":{"r":"#).unwrap();
    let second = again(&root, &first).await;
    assert_eq!(*second.cover(&root), Cover::Partial { why: Why::Malformed });
    assert!(discover(settings(&root), &Bookmarks::default()).await.cover(&root).is_full(), "nothing was known of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_root_that_left_the_selection_is_unwatched() {
    let (_above, root) = grown();
    let first = discover(settings(&root), &Bookmarks::default()).await;
    let (_other, elsewhere) = grown();
    let second = again(&elsewhere, &first).await;
    assert_eq!(second.unwatched, [format!("root[{}]", root.display())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roots_inside_of_roots_are_read_once_and_the_systems_places_have_scopes_of_their_own() {
    let (_above, root) = grown();
    let inner = root.join("inner");
    fs::create_dir_all(inner.join("etc/ssh")).unwrap();
    fs::write(inner.join(".env"), "API_TOKEN=Ab81Tq09LmNb72VcRt5Y").unwrap();
    let key = crate::host::testtree::keys::openssh(&crate::host::testtree::keys::ssh_ed25519("host"), false);
    fs::write(
        inner.join("etc/ssh/ssh_host_ed25519_key"),
        crate::host::testtree::keys::pem("OPENSSH PRIVATE KEY", &key),
    )
    .unwrap();
    let settings = serde_json::json!({"roots": [root, inner], "system": true, "system_root": inner, "hostname": "h"});
    let found = discover(settings, &Bookmarks::default()).await;
    let mut scopes: Vec<_> = found.covers.iter().map(|(scope, cover)| (scope.clone(), cover.is_full())).collect();
    scopes.sort_by_key(|(scope, _)| scope.trim_end_matches(']').to_owned());
    let of = |word: &str, path: &Path| (format!("{word}[{}]", path.display()), true);
    assert_eq!(
        scopes,
        [of("root", &root), of("root", &inner), of("system", &inner.join("etc")), of("system", &inner.join("etc/ssh"))]
    );
    assert_eq!(
        found.entities.len(),
        3,
        "{:#?}",
        found.entities.iter().map(|it| it.key.to_string()).collect::<Vec<_>>()
    );
    assert_eq!(found.realm, "host:name-h");
}
