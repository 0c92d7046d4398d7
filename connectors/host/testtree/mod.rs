//! A home tree with a file of every sort the connector reads: for tests here and of other rooms.
//! It must never hold a real secret: every value is made from a seed, and returned so that it can be searched for.

mod files;
pub mod keys;
mod tail;

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use provost_model::Kind;
use sha2::{Digest, Sha256};

/// A value that was put into the tree, and what it must be found as.
#[derive(Clone, Debug)]
pub struct Planted {
    /// The file, relative to the root.
    pub file: String,
    /// Where in the file.
    pub position: String,
    /// What it must be found as.
    pub kind: Kind,
    /// The value as it would be used.
    pub value: String,
}

/// A file of the tree.
#[derive(Clone, Debug)]
pub struct File {
    /// Its path, relative to the root.
    pub path: String,
    /// Its content.
    pub content: Vec<u8>,
}

/// Everything that goes into a tree.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Its files.
    pub files: Vec<File>,
    /// What is hidden in them.
    pub planted: Vec<Planted>,
    /// Paths and positions of AI agents.
    pub agents: Vec<(String, String)>,
}

/// Every file of the tree, with what is planted.
pub fn tree() -> Tree {
    files::all()
}

/// Writes the tree below a directory, with modes as tools leave them: 0600 for files that begin with a dot, else 0644.
pub fn grow(below: &Path) -> io::Result<Tree> {
    let tree = tree();
    for File { path, content } in &tree.files {
        let full = below.join(path);
        if let Some(directory) = full.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(&full, content)?;
        let private = path.starts_with('.') && !path.ends_with(".pub");
        fs::set_permissions(&full, fs::Permissions::from_mode(if private { 0o600 } else { 0o644 }))?;
    }
    Ok(tree)
}

/// Names of all files of the tree.
pub fn plain_names() -> Vec<String> {
    tree().files.into_iter().map(|file| file.path).collect()
}

/// Names and contents of all files of the tree.
pub fn plain_files() -> Vec<(String, Vec<u8>)> {
    tree().files.into_iter().map(|file| (file.path, file.content)).collect()
}

/// A text of so many characters that no dictionary holds, always the same for one seed.
pub fn secret(seed: &str, length: usize) -> String {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let letters: Vec<u8> = LETTERS.to_vec();
    let letter = |byte: u8| letters.get(usize::from(byte) % letters.len()).copied().map_or('x', char::from);
    noise(seed, length).into_iter().map(letter).collect()
}

/// Bytes made from a seed.
pub fn noise(seed: &str, length: usize) -> Vec<u8> {
    let blocks = (0_u32..).flat_map(|block| Sha256::digest(format!("planted {seed} {block}")).to_vec());
    blocks.take(length).collect()
}
