//! Stores that must not be opened are left byte for byte as they are.
//! It must never look at the message alone: the directory is compared.
