//! The one integration-test binary: each module is one view from outside.

mod architecture;
