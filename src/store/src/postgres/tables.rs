//! Numbers of tables: short names inside the database, given once and for good.
//! It must never give a number inside a commit: one that is undone would be remembered.

use std::sync::Arc;

use sqlx::{PgConnection, Row as _};

use super::trouble::Halt;

/// A table's name, and whether it is versioned.
pub(super) type Named = (String, bool);

/// The numbers of all tables, after those tables got theirs.
pub(super) async fn learn(on: &mut PgConnection, unknown: Arc<Vec<Named>>) -> Result<Vec<(String, i16)>, Halt> {
    if !unknown.is_empty() {
        let sql = "INSERT INTO store_tables (name, versioned) SELECT * FROM unnest($1::text[], $2::boolean[]) \
            ON CONFLICT DO NOTHING";
        sqlx::query(sql)
            .bind(unknown.iter().map(|table| table.0.as_str()).collect::<Vec<_>>())
            .bind(unknown.iter().map(|table| table.1).collect::<Vec<_>>())
            .execute(&mut *on)
            .await?;
    }
    let found = sqlx::query("SELECT name, id FROM store_tables").fetch_all(on).await?;
    found.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}
