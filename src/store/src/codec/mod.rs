//! stand-in until merged
pub mod record { use crate::StoreError; use provost_model::Record; pub fn encode(_: &Record) -> Result<Vec<u8>, StoreError> { Err(StoreError::Codec("x".into())) } pub fn decode(_: &[u8]) -> Result<Record, StoreError> { Err(StoreError::Codec("x".into())) } }
pub mod finding { use crate::StoreError; use provost_model::Finding as T; pub fn encode(_: &T) -> Result<Vec<u8>, StoreError> { Err(StoreError::Codec("x".into())) } pub fn decode(_: &[u8]) -> Result<T, StoreError> { Err(StoreError::Codec("x".into())) } }
pub mod run { use crate::StoreError; use provost_model::Run as T; pub fn encode(_: &T) -> Result<Vec<u8>, StoreError> { Err(StoreError::Codec("x".into())) } pub fn decode(_: &[u8]) -> Result<T, StoreError> { Err(StoreError::Codec("x".into())) } }
