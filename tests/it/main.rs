//! The one integration-test binary: each module is one view of the house from outside.

mod architecture;
mod pipeline;
mod systemd;
