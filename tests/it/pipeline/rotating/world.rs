//! A small provider and a place, in memory, for what does not depend on who they are.
//! It must never know what a saga is.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use provost::{config::rotation::Rotation, wire::Hand};
use provost_actions::{
    ActionError, Bundle,
    destinations::{Destination, Holding},
    rotators::{Minted, Rotator, RotatorSpec, Way},
    sinks::Checked,
};
use provost_engine::rotate::{How, Windows};
use provost_model::{Kind, Order, Reading, Remedy, Slot, Span, Target};
use secrecy::{ExposeSecret as _, SecretString};

pub(in crate::pipeline) static SPEC: RotatorSpec = RotatorSpec {
    name: "world",
    title: "World",
    about: "Makes keys in memory.",
    kinds: &[Kind::AccessKey],
    remedies: &[Remedy::Rotate, Remedy::Disable, Remedy::Delete],
    way: Way::Overlap { capacity: Some(2) },
    reversible: true,
    removes: true,
    parts: &["secret"],
    marks: false,
    prepares: false,
    lag: None,
    acts: &[],
    reads: &[],
    permissions: &[],
    checked: Checked::Words,
    example: "",
    documentation: &[],
    build: &|_| Err("made by tests".into()),
};

/// Keys with whether each works, and what the place has had.
#[derive(Default)]
pub(in crate::pipeline) struct State {
    pub(in crate::pipeline) keys: Vec<(String, bool)>,
    pub(in crate::pipeline) place: Vec<String>,
    pub(in crate::pipeline) made: usize,
    /// The new key is refused.
    pub(in crate::pipeline) refuses: bool,
}

#[derive(Clone)]
pub(in crate::pipeline) struct World(pub(in crate::pipeline) Arc<Mutex<State>>);

impl World {
    pub(in crate::pipeline) fn new(old: &str) -> Self {
        let keys = vec![(old.to_owned(), true)];
        Self(Arc::new(Mutex::new(State { keys, place: vec![secret(old)], ..State::default() })))
    }

    /// The world as somebody's hand.
    pub(in crate::pipeline) fn hand(&self, enabled: bool) -> Hand {
        let how = How {
            in_place: false,
            capacity: Some(2),
            reversible: true,
            removes: true,
            marks: false,
            prepares: false,
            carries: true,
            lag: None,
            readable: vec![true],
            windows: Windows { blind: Span::days(3), ..Windows::default() },
        };
        let entry = Rotation {
            name: "world".into(),
            spec: &SPEC,
            enabled,
            sources: Vec::new(),
            identities: Vec::new(),
            how,
            places: Vec::new(),
            settings: serde_json::Map::new(),
            arrangement: "p".into(),
        };
        Hand { entry, rotator: Arc::new(self.clone()), places: vec![Arc::new(self.clone())] }
    }

    pub(in crate::pipeline) fn keys(&self) -> Vec<(String, bool)> {
        self.0.lock().unwrap().keys.clone()
    }

    pub(in crate::pipeline) fn holds(&self) -> String {
        self.0.lock().unwrap().place.last().cloned().unwrap_or_default()
    }

    fn set(&self, id: &str, active: bool) {
        self.0.lock().unwrap().keys.iter_mut().filter(|(it, _)| it == id).for_each(|key| key.1 = active);
    }
}

pub(in crate::pipeline) fn secret(id: &str) -> String {
    format!("v4lu3-0f-{id}-9f8e7d6c5b4a39281706")
}

fn bundle(value: &str) -> Bundle {
    Bundle::new([("secret".to_owned(), SecretString::from(value))])
}

#[async_trait]
impl Rotator for World {
    async fn look(&self, _: &Target) -> Result<Vec<Slot>, ActionError> {
        // As any real list would, it lets others go on meanwhile.
        tokio::task::yield_now().await;
        let unused = Reading::Never;
        let slot = |(id, active): (String, bool)| Slot { id, active, made_at: unused, used_at: unused, mark: None };
        Ok(self.keys().into_iter().map(slot).collect())
    }

    async fn mint(&self, _: &Order, _: &Target, _: &str, _: &Bundle) -> Result<Minted, ActionError> {
        let mut state = self.0.lock().unwrap();
        if state.keys.len() >= 2 {
            return Err(ActionError::GiveUp { said: "two keys".into() });
        }
        state.made += 1;
        let id = format!("new-{}", state.made);
        state.keys.push((id.clone(), true));
        Ok(Minted { value: bundle(&secret(&id)), id })
    }

    async fn verify(&self, _: &Target, id: &str, value: &Bundle) -> Result<(), ActionError> {
        let state = self.0.lock().unwrap();
        let right = value.get("secret").is_some_and(|value| value.expose_secret() == secret(id));
        match right && !state.refuses && state.keys.contains(&(id.to_owned(), true)) {
            true => Ok(()),
            false => Err(ActionError::GiveUp { said: "refused".into() }),
        }
    }

    async fn disable(&self, _: &Order, _: &Target, id: &str) -> Result<(), ActionError> {
        self.set(id, false);
        Ok(())
    }

    async fn enable(&self, _: &Order, _: &Target, id: &str) -> Result<(), ActionError> {
        self.set(id, true);
        Ok(())
    }

    async fn delete(&self, _: &Order, _: &Target, id: &str) -> Result<(), ActionError> {
        self.0.lock().unwrap().keys.retain(|(it, _)| it != id);
        Ok(())
    }

    async fn check(&self) -> Result<String, ActionError> {
        Ok("it is there".into())
    }

    fn own(&self) -> Vec<String> {
        vec!["AKIA-own".into()]
    }
}

#[async_trait]
impl Destination for World {
    async fn look(&self) -> Result<Holding, ActionError> {
        let state = self.0.lock().unwrap();
        Ok(Holding { version: Some(state.place.len().to_string()), value: state.place.last().map(|it| bundle(it)) })
    }

    async fn put(&self, _: &Order, value: &Bundle, before: Option<&str>) -> Result<String, ActionError> {
        let mut state = self.0.lock().unwrap();
        if before != Some(state.place.len().to_string().as_str()) {
            return Err(ActionError::GiveUp { said: "another version".into() });
        }
        state.place.push(value.get("secret").unwrap().expose_secret().to_owned());
        Ok(state.place.len().to_string())
    }

    async fn restore(&self, _: &Order, before: Option<&str>, ours: &str) -> Result<(), ActionError> {
        let mut state = self.0.lock().unwrap();
        if ours != state.place.len().to_string() {
            return Err(ActionError::GiveUp { said: "another version".into() });
        }
        let before: usize = before.unwrap().parse().unwrap();
        let former = state.place[before - 1].clone();
        state.place.push(former);
        Ok(())
    }

    async fn check(&self) -> Result<String, ActionError> {
        Ok("it is there".into())
    }
}
