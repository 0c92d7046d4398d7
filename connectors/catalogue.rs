//! Every connector there is: those in Rust, the shipped manifests, and what an operator put beside them.
//! It must never let a file take the name of a connector that is part of the program.

use std::sync::OnceLock;

use crate::{ALL, Spec, manifest};

/// Connectors by name.
#[derive(Clone, Debug)]
pub struct Catalogue {
    specs: Vec<&'static Spec>,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self::shipped()
    }
}

impl Catalogue {
    /// What is part of the program.
    pub fn shipped() -> Self {
        static SPECS: OnceLock<Vec<&'static Spec>> = OnceLock::new();
        let specs = SPECS.get_or_init(|| ALL.iter().copied().chain(manifest::shipped_specs()).collect());
        Self { specs: specs.clone() }
    }

    /// Adds a connector. Fails if its name is taken.
    pub fn add(&mut self, spec: &'static Spec) -> Result<(), String> {
        if self.find(spec.name).is_some() {
            return Err(format!("there is a connector {:?} already", spec.name));
        }
        self.specs.push(spec);
        Ok(())
    }

    /// The connector of that name.
    pub fn find(&self, name: &str) -> Option<&'static Spec> {
        self.specs.iter().copied().find(|spec| spec.name == name)
    }

    /// All of them, in the order in which they are listed.
    pub fn iter(&self) -> impl Iterator<Item = &'static Spec> + '_ {
        self.specs.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_shipped_manifest_is_there_once_and_no_file_takes_its_name() {
        let mut catalogue = Catalogue::shipped();
        assert_eq!(catalogue.iter().count(), ALL.len() + manifest::SHIPPED.len());
        let names: BTreeSet<&str> = catalogue.iter().map(|spec| spec.name).collect();
        assert_eq!(names.len(), catalogue.iter().count());
        let taken = catalogue.find("datadog").unwrap();
        assert!(catalogue.add(taken).unwrap_err().contains("already"));
    }
}
