//! The tables of the back end: made at the first opening, brought up to date at a later one.
//! It must never touch a database that a later Provost wrote for later readers only.

use std::path::PathBuf;

use sqlx::{PgConnection, Row as _};

use super::{Shown, link::Link, trouble::Halt};
use crate::StoreError;

/// What brings a database from each format to the next.
const STEPS: [&str; 1] = [include_str!("schema/1.sql")];
/// The format that this program writes, and the newest that it reads.
pub(super) const FORMAT: i32 = 1;
/// The oldest format whose programs can read what this one writes.
const MIN_READER: i32 = 1;

/// Makes or checks the tables.
pub(super) fn ready(link: &Link, shown: Option<Shown>) -> Result<(), StoreError> {
    let place = link.place().to_owned();
    link.ask(move |on, before| Box::pin(bring(on, place.clone(), (shown, before))))
}

async fn bring(on: &mut PgConnection, place: String, (shown, before): (Option<Shown>, u32)) -> Result<(), Halt> {
    let there = "SELECT to_regclass('store_format') IS NOT NULL";
    if sqlx::query_scalar(there).fetch_one(&mut *on).await? {
        let found = readable(on, &place, "SELECT format, min_reader, views FROM store_format").await?;
        // Looking asks for no rights: only who brings something new needs them.
        if found.0 >= FORMAT && shown.is_none_or(|shown| found.1 >= shown.version) {
            return Ok(());
        }
    }
    let made = make(on, &place, shown).await;
    match made {
        // Another daemon makes the same tables, and the types of their rows, at this moment; the second time they are there.
        Err(Halt::Sqlx(sqlx::Error::Database(error)))
            if before < 20 && matches!(error.code().as_deref(), Some("23505" | "42P07" | "42710" | "XX000")) =>
        {
            Err(Halt::Sqlx(sqlx::Error::Protocol(format!("tables are made by another: {}", error.message()))))
        }
        other => other,
    }
}

async fn make(on: &mut PgConnection, place: &str, shown: Option<Shown>) -> Result<(), Halt> {
    sqlx::raw_sql(
        "BEGIN ISOLATION LEVEL READ COMMITTED; CREATE TABLE IF NOT EXISTS store_format (one boolean PRIMARY KEY \
         DEFAULT true CHECK (one), format integer NOT NULL, min_reader integer NOT NULL, views integer NOT NULL, created_by text NOT NULL); \
         INSERT INTO store_format (format, min_reader, views, created_by) VALUES (0, 0, 0, '') ON CONFLICT DO NOTHING",
    )
    .execute(&mut *on)
    .await?;
    let (format, views) = readable(on, place, "SELECT format, min_reader, views FROM store_format FOR UPDATE").await?;
    let done = usize::try_from(format).unwrap_or_default();
    for step in STEPS.iter().skip(done) {
        sqlx::raw_sql(*step).execute(&mut *on).await?;
    }
    sqlx::query("UPDATE store_format SET format = $1, min_reader = $2, created_by = $3 WHERE format < $1")
        .bind(FORMAT)
        .bind(MIN_READER)
        .bind(env!("CARGO_PKG_VERSION"))
        .execute(&mut *on)
        .await?;
    if let Some(shown) = shown.filter(|shown| shown.version > views) {
        sqlx::raw_sql(shown.views).execute(&mut *on).await?;
        sqlx::query("UPDATE store_format SET views = $1").bind(shown.version).execute(&mut *on).await?;
    }
    sqlx::raw_sql("COMMIT").execute(on).await?;
    Ok(())
}

/// The format of the database and the version of its views, refused if this program is too old for it.
async fn readable(on: &mut PgConnection, place: &str, asked: &'static str) -> Result<(i32, i32), Halt> {
    let Some(row) = sqlx::query(asked).fetch_optional(on).await? else { return Ok((0, 0)) };
    let (format, min_reader): (i32, i32) = (row.try_get(0)?, row.try_get(1)?);
    if min_reader > FORMAT {
        let version = |number: i32| u32::try_from(number).unwrap_or_default();
        let (min_reader, reader) = (version(min_reader), version(FORMAT));
        return Err(StoreError::Newer { path: PathBuf::from(place), min_reader, reader }.into());
    }
    Ok((format, row.try_get(2)?))
}
