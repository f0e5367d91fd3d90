//! Which task was sent again as which: read off what commands were answered and what bulk actions have done, in the file
//! of the audit log. Nothing is written for it.

use rusqlite::{Connection, OptionalExtension};

use super::audit::{Audit, Error};
use crate::celery::TaskId;

/// The view; and what makes looking into bulk actions quick.
const SCHEMA: &str = "
    CREATE INDEX IF NOT EXISTS bulk_item_by_task ON bulk_item(task);
    CREATE INDEX IF NOT EXISTS bulk_item_by_new ON bulk_item(new);
    CREATE VIEW IF NOT EXISTS retries AS
        SELECT audit.asked AS timestamp, reply.key AS task_id, json_extract(reply.value, '$.id') AS sent_as,
            audit.id AS audit
        FROM audit, json_each(CASE WHEN json_valid(audit.replies) THEN audit.replies ELSE '{}' END) AS reply
        WHERE audit.command = 'retry' AND json_extract(reply.value, '$.id') IS NOT NULL
        UNION ALL
        SELECT item.sent, item.task, item.new, bulk.audit
        FROM bulk_item AS item JOIN bulk ON bulk.id = item.bulk
        WHERE item.sent IS NOT NULL AND item.new != '';";

/// A task, and the one that was sent in its place.
pub type Link = (TaskId, TaskId);

pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)
}

/// The last links of a task: to the one sent in its place, and from the one it was sent for.
pub(super) fn of(db: &Connection, id: &TaskId) -> rusqlite::Result<Vec<Link>> {
    // A file that was written by an older program, and is only read, has none.
    if db.query_row("SELECT 1 FROM sqlite_schema WHERE name = 'retries'", [], |_| Ok(())).optional()?.is_none() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for by in ["task_id", "sent_as"] {
        let find = format!(
            "SELECT task_id, sent_as FROM retries WHERE {by} = ? AND task_id != sent_as ORDER BY timestamp DESC LIMIT 1"
        );
        found.extend(db.query_row(&find, [id.to_string()], link).optional()?);
    }
    Ok(found)
}

fn link(row: &rusqlite::Row<'_>) -> rusqlite::Result<Link> {
    Ok((TaskId::new(&row.get::<_, String>(0)?), TaskId::new(&row.get::<_, String>(1)?)))
}

impl Audit {
    /// The last links of a task.
    pub fn links_of(&self, id: &TaskId) -> Result<Vec<Link>, Error> {
        of(&self.connection(), id).map_err(|e| self.error(&e))
    }
}

#[cfg(test)]
mod tests {
    use super::super::audit::{Entry, Origin};
    use super::super::bulk::Stand;
    use super::*;
    use crate::celery::original::Original;
    use crate::clock::Stamp;

    #[test]
    fn a_task_leads_to_the_one_sent_in_its_place_and_back() {
        let folder = tempfile::tempdir().expect("temp");
        let audit = Audit::open(&folder.path().join("audit.db")).expect("opens");
        let asked = |command, replies: Option<&str>, at: i64| {
            let entry = Entry { command, ..Entry::default() };
            let row = audit.asked(Stamp::from_micros(at), &Origin::default(), "b", &entry).expect("written");
            if let Some(replies) = replies {
                audit.answered(row, Stamp::EPOCH, "confirmed", replies).expect("written");
            }
            row
        };
        asked("retry", Some(r#"{"a": {"ok": "sent as a1", "id": "a1"}, "b": {"error": "x"}}"#), 1);
        asked("retry", Some(r#"{"a": {"ok": "sent as a2", "id": "a2"}, "s": {"id": "s"}}"#), 2);
        asked("send", Some(r#"{"t": {"ok": "sent", "id": "t1"}}"#), 3);
        asked("retry", Some("not json"), 3);
        let row = asked("bulk retry", None, 4);
        let item = |old: &str, new: &str| {
            (old.to_owned(), new.to_owned(), Original { queue: "q".into(), priority: 0, bytes: Vec::new().into() })
        };
        let items = [item("c", "c1"), item("d", "d1")];
        let id = audit.freeze((row, Stamp::EPOCH), "b", ("retry", 1.0), &items).expect("frozen");
        audit.cross_off(id, 0, 1, Stamp::from_micros(5)).expect("crossed off");
        audit.stands(id, Stand::Paused, "").expect("written");
        let of = |id: &str| {
            let links = audit.links_of(&TaskId::new(id)).expect("read");
            links.into_iter().map(|(old, new)| format!("{old}>{new}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!((of("a"), of("a1"), of("a2")), ("a>a2".into(), "a>a1".into(), "a>a2".into()));
        assert_eq!((of("c"), of("c1")), ("c>c1".into(), "c>c1".into()));
        assert_eq!([of("b"), of("d"), of("s"), of("t1")].concat(), "", "not sent, sent under its own id, or new");
    }
}
