//! Where results are, as Celery's `result_backend` says it.

use super::Error;
use super::sql::{Layout, SqlUrl};
use crate::broker::BrokerUrl;

/// See the module. Printing it never shows the password.
#[derive(Debug, Clone, PartialEq)]
pub enum ResultUrl {
    Redis(BrokerUrl),
    Sql(SqlUrl, Layout),
    /// Nothing can be read, for this reason.
    Nothing(&'static str),
}

impl ResultUrl {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (scheme, _) = text.split_once("://").unwrap_or((text, ""));
        // Celery takes off what stands before the first + (Celery 5.7.0, `app/backends.py`, `by_url`).
        match scheme.split_once('+').map_or(scheme, |(first, _)| first) {
            "db" | "database" if scheme.contains('+') => sql(text, Layout::Celery),
            "db" | "database" => Ok(Self::Nothing(
                "it lies in a database; name that as db+postgresql://user@host/name, db+mysql://… or db+sqlite:///…",
            )),
            "django-db" if scheme.contains('+') => sql(text, Layout::Django),
            _ if is_django(text) => Ok(Self::Nothing(
                "it lies in Django's database; name that as django-db+postgresql://user@host/name, django-db+mysql://… or django-db+sqlite:///…",
            )),
            "rpc" => Ok(Self::Nothing("rpc:// sends each result to who asked for it, and keeps none")),
            "disabled" | "none" | "" => Ok(Self::Nothing("results are not kept")),
            "redis" | "rediss" | "sentinel" | "unix" => {
                BrokerUrl::parse(text).map(Self::Redis).map_err(|error| Error(error.to_string()))
            }
            _ => Err(Error(format!(
                "result backends of type {}:// can't be read; redis://, rediss://, sentinel://, unix://, db+…:// and django-db+…:// can",
                crate::text::clean(&scheme.chars().take(20).collect::<String>())
            ))),
        }
    }

    /// Whether a password stands in it.
    pub fn has_password(&self) -> bool {
        match self {
            Self::Redis(url) => url.has_password(),
            Self::Sql(url, _) => url.has_password(),
            Self::Nothing(_) => false,
        }
    }
}

/// The name that django-celery-results registers, or its class.
fn is_django(text: &str) -> bool {
    text == "django-db" || text.starts_with("django-db://") || text.starts_with("django_celery_results.")
}

fn sql(text: &str, layout: Layout) -> Result<ResultUrl, Error> {
    let (_, rest) = text.split_once('+').unwrap_or_default();
    SqlUrl::parse(rest).map(|url| ResultUrl::Sql(url, layout))
}

impl std::fmt::Display for ResultUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Redis(url) => url.fmt(f),
            Self::Sql(url, Layout::Celery) => write!(f, "db+{url}"),
            Self::Sql(url, Layout::Django) => write!(f, "django-db+{url}"),
            Self::Nothing(why) => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_name_a_backend_is_read_and_printed_without_the_password() {
        let said = |text| match ResultUrl::parse(text) {
            Ok(url) => url.to_string(),
            Err(error) => error.to_string(),
        };
        for (text, want) in [
            ("redis://:hunter2@cache/1", "redis://:***@cache:6379/1"),
            ("redis+socket:///r.sock", "unix:///r.sock?virtual_host=0"),
            ("db+sqlite:////r.db", "db+sqlite:////r.db"),
            ("database+mysql+pymysql://joe:hunter2@h/d", "db+mysql://joe:***@h:3306/d"),
            ("django-db+postgresql://joe:hunter2@h/d", "django-db+postgresql://joe:***@h:5432/d"),
            ("rpc://", "rpc:// sends each result to who asked for it, and keeps none"),
            ("disabled://", "results are not kept"),
        ] {
            assert_eq!(said(text), want, "{text}");
        }
        for (text, want) in [
            ("django-db", "name that as django-db+postgresql://user@host/name"),
            ("django_celery_results.backends:DatabaseBackend", "name that as django-db+"),
            ("db", "name that as db+postgresql://user@host/name"),
            ("mongodb://u:hunter2@h/db", "result backends of type mongodb:// can't be read"),
            ("db+oracle://u:hunter2@h/db", "databases of type oracle can't be read"),
        ] {
            let said = said(text);
            assert!(said.contains(want) && !said.contains("hunter2"), "{text}: {said}");
        }
    }
}
