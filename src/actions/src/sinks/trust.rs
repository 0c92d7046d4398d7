//! Whose certificates are trusted by the sinks that are not spoken to in HTTP.
//! It must never trust a bundle that was not understood as a whole.

use std::{fs, path::Path};

use provost_client::Egress;

/// The authorities in that file, in PEM. An error names the setting.
pub(crate) fn bundle(file: &Path) -> Result<Vec<u8>, String> {
    let wrong = |said: String| format!("ca_file: {said}");
    // It knows what is none, and how large one may be.
    Egress::default().trusting_file(file).map_err(wrong)?;
    fs::read(file).map_err(|error| wrong(error.to_string()))
}
