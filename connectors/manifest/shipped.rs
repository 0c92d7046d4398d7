//! The manifests that are part of the program.
//! It must never name one that does not parse: a test reads them all.

use super::{Manifest, Trust};
use crate::Spec;

/// Texts of the shipped manifests, in the order in which they are listed.
pub const SHIPPED: &[&str] = &[
    include_str!("../manifests/anthropic.toml"),
    include_str!("../manifests/asana.toml"),
    include_str!("../manifests/auth0.toml"),
    include_str!("../manifests/box.toml"),
    include_str!("../manifests/cloudflare.toml"),
    include_str!("../manifests/datadog.toml"),
    include_str!("../manifests/docker-hub.toml"),
    include_str!("../manifests/jumpcloud.toml"),
    include_str!("../manifests/netlify.toml"),
    include_str!("../manifests/openai.toml"),
    include_str!("../manifests/sendgrid.toml"),
    include_str!("../manifests/snowflake.toml"),
    include_str!("../manifests/twilio.toml"),
    include_str!("../manifests/vercel.toml"),
    include_str!("../manifests/zoom.toml"),
];

/// The descriptions of the shipped manifests.
pub(crate) fn specs() -> Vec<&'static Spec> {
    SHIPPED.iter().filter_map(|text| Some(Manifest::parse(text).ok()?.spec(Trust::Shipped))).collect()
}
