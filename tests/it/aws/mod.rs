//! AWS from outside: the built program against a real counterpart (moto) and against a fake that misbehaves on demand.
//! It must never reach anything but this machine's loopback.

mod account;
mod cloud;
mod crash;
mod fake;
mod moto;
mod organization;
mod place;
mod record;
mod server;
mod slots;
