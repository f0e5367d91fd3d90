//! What can go wrong with a database, as a sentence with what to do. Drivers and servers repeat no password; what they
//! say is hostile all the same.

use super::row::Layout;
use super::{Table, WORK};
use crate::results::Error;
use crate::text::clean;

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    Unreachable(String),
    Tls(String),
    /// The login was not accepted.
    Refused(String),
    NoDatabase,
    NoTable,
    /// The table is there, and is another's.
    NoColumn,
    /// We may not read the table.
    Denied,
    Slow,
    Other(String),
}

impl Fault {
    /// The sentence.
    pub fn told(&self, url: &str, table: &Table) -> Error {
        let name = clean(&match &table.schema {
            Some(schema) => format!("{schema}.{}", table.name),
            None => table.name.clone(),
        });
        let url = clean(url);
        Error(match self {
            Fault::Unreachable(why) => format!("can't reach {url}: {}", clean(why)),
            Fault::Tls(why) => format!("no TLS connection to {url}: {}", clean(why)),
            Fault::Refused(why) => format!("{url} refused us: {}; are user and password right?", clean(why)),
            Fault::NoDatabase => format!("{url}: there is no database of that name"),
            Fault::NoTable => match table.layout {
                Layout::Celery => format!(
                    "{url} has no table {name}; where the application has set database_table_names, put it into the profile: database_table_names = {{ task = \"…\" }}"
                ),
                Layout::Django => format!("{url} has no table {name}; is it the database of django-celery-results?"),
            },
            Fault::NoColumn => format!("{url}: the table {name} is no table of results, it has no task_id"),
            Fault::Denied => format!("{url}: this user may not read the table {name}; grant it SELECT"),
            Fault::Slow => {
                format!("{url} gave no answer within {}s; has the table {name} an index on task_id?", WORK.as_secs())
            }
            Fault::Other(why) => format!("{url}: {}", clean(why)),
        })
    }
}
