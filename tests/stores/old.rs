//! Stores as programs of former formats left them, closed in order; each is written by the code of its time and never made
//! anew by a later one.
//!
//! Format 1 is of commit de7cef1, format 2 of commit ef30cc3, format 3 of commit f029f7a and kept by redb, format 4 of commit
//! f60743b. All were written by the same words, of which the contents follow that the tests tell; journals were put in place
//! after every thousand bytes.

use std::{fs, path::Path};

/// The formats there are stores of, each in a tar file.
const PACKED: [(u32, &[u8]); 4] = [
    (1, include_bytes!("format-1.tar.zst")),
    (2, include_bytes!("format-2.tar.zst")),
    (3, include_bytes!("format-3.tar.zst")),
    (4, include_bytes!("format-4.tar.zst")),
];

/// A block of a tar file.
const BLOCK: usize = 512;

/// Puts the store of that format into a directory, which is made.
pub fn unpack(format: u32, directory: &Path) {
    let (_, packed) = PACKED.into_iter().find(|(of, _)| *of == format).unwrap();
    let bytes = zstd::decode_all(packed).unwrap();
    fs::create_dir_all(directory).unwrap();
    let (mut left, text) = (bytes.as_slice(), |field: &[u8]| {
        String::from_utf8(field.iter().copied().take_while(|byte| *byte != 0).collect()).unwrap()
    });
    while left[0] != 0 {
        let (header, rest) = left.split_at(BLOCK);
        let (path, length) = (directory.join(text(&header[..100])), text(&header[124..136]));
        let length = usize::from_str_radix(length.trim(), 8).unwrap();
        match header[156] {
            b'5' => fs::create_dir_all(path).unwrap(),
            b'0' => fs::write(path, &rest[..length]).unwrap(),
            other => panic!("an entry of type {other}"),
        }
        left = &rest[length.next_multiple_of(BLOCK)..];
    }
}
