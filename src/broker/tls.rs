//! TLS as Celery users set it: `broker_use_ssl`, or `ssl_…` in the query of a URL. Certificates are verified unless
//! `ssl_cert_reqs` says otherwise; kombu does not verify a `rediss://` URL that says nothing, which no monitor should
//! copy.

mod verify;
mod words;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Error, Result};

pub use words::{explain, other_names};

/// What `broker_use_ssl` says. Redis' names begin with `ssl_`, RabbitMQ's don't; both are taken.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SslOptions {
    #[serde(alias = "cert_reqs")]
    pub ssl_cert_reqs: CertReqs,
    /// File with the certificates of those who may have signed the server's.
    #[serde(alias = "ca_certs")]
    pub ssl_ca_certs: Option<PathBuf>,
    /// File with our own certificate.
    #[serde(alias = "certfile")]
    pub ssl_certfile: Option<PathBuf>,
    /// File with its key; without it the key lies in the certificate's file.
    #[serde(alias = "keyfile")]
    pub ssl_keyfile: Option<PathBuf>,
    /// Whether the certificate has to be for the host we connect to.
    #[serde(alias = "check_hostname")]
    pub ssl_check_hostname: Option<bool>,
    #[serde(alias = "ciphers")]
    pub ssl_ciphers: Option<IgnoredAny>,
    #[serde(alias = "ssl_min_version")]
    pub ssl_version: Option<IgnoredAny>,
}

impl SslOptions {
    /// What a URL says, and for the rest what the table says: `rediss://` alone says no more than that TLS is used.
    pub fn of(url: Option<&Self>, table: Option<&Self>) -> Option<Self> {
        let (Some(url), Some(table)) = (url, table) else { return url.or(table).cloned() };
        let file = |pick: fn(&Self) -> &Option<PathBuf>| pick(url).clone().or_else(|| pick(table).clone());
        let unsaid = url.ssl_cert_reqs == CertReqs::Unsaid;
        Some(Self {
            ssl_cert_reqs: if unsaid { table.ssl_cert_reqs } else { url.ssl_cert_reqs },
            ssl_ca_certs: file(|ssl| &ssl.ssl_ca_certs),
            ssl_certfile: file(|ssl| &ssl.ssl_certfile),
            ssl_keyfile: file(|ssl| &ssl.ssl_keyfile),
            ssl_check_hostname: url.ssl_check_hostname.or(table.ssl_check_hostname),
            ssl_ciphers: table.ssl_ciphers,
            ssl_version: table.ssl_version,
        })
    }
}

/// Names a URL's query can have.
const NAMES: [&str; 5] = ["ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname"];

/// Whether the server has to show a certificate we can verify. To a client, Python's `CERT_OPTIONAL` is the same as
/// `CERT_REQUIRED`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CertReqs {
    /// Nobody said: it has to.
    #[default]
    Unsaid,
    Required,
    None,
}

impl CertReqs {
    fn parse(text: &str) -> Option<Self> {
        match text.trim_start_matches("ssl.").trim_start_matches("CERT_").to_ascii_lowercase().as_str() {
            "required" | "optional" | "1" | "2" => Some(CertReqs::Required),
            "none" | "0" => Some(CertReqs::None),
            _ => None,
        }
    }
}

const TAKES: &str = "ssl_cert_reqs takes \"required\", \"optional\" or \"none\"";

impl<'de> Deserialize<'de> for CertReqs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = CertReqs;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"required\", \"optional\" or \"none\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<CertReqs, E> {
                CertReqs::parse(text).ok_or_else(|| E::custom(TAKES))
            }
            /// Python's numbers for them.
            fn visit_i64<E: serde::de::Error>(self, n: i64) -> std::result::Result<CertReqs, E> {
                self.visit_str(&n.to_string())
            }
        }
        deserializer.deserialize_any(Words)
    }
}

/// Reads `broker_use_ssl`, which is `true`, `false`, or a table.
pub fn use_ssl<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<SslOptions>, D::Error> {
    struct Ssl;
    impl<'de> Visitor<'de> for Ssl {
        type Value = Option<SslOptions>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("true, false or a table")
        }
        fn visit_bool<E>(self, on: bool) -> std::result::Result<Self::Value, E> {
            Ok(on.then(SslOptions::default))
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Self::Value, A::Error> {
            SslOptions::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }
    }
    deserializer.deserialize_any(Ssl)
}

impl SslOptions {
    /// Names that are set and have no meaning here.
    pub fn unused(&self) -> Vec<&'static str> {
        let all = [("ssl_ciphers", self.ssl_ciphers.is_some()), ("ssl_version", self.ssl_version.is_some())];
        all.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect()
    }

    /// What the query of a URL says of TLS, if anything.
    pub fn from_query<'q>(query: impl IntoIterator<Item = (&'q str, &'q str)>) -> Result<Option<Self>> {
        let mut options: Option<Self> = None;
        for (name, value) in query.into_iter().filter(|(name, _)| name.starts_with("ssl_")) {
            let found = options.get_or_insert_default();
            let path = || Some(PathBuf::from(value));
            match name {
                "ssl_cert_reqs" => {
                    found.ssl_cert_reqs = CertReqs::parse(value).ok_or(Error::Url { what: TAKES.into() })?;
                }
                "ssl_ca_certs" => found.ssl_ca_certs = path(),
                "ssl_certfile" => found.ssl_certfile = path(),
                "ssl_keyfile" => found.ssl_keyfile = path(),
                // As kombu reads it.
                "ssl_check_hostname" => found.ssl_check_hostname = Some(!value.eq_ignore_ascii_case("false")),
                _ => {
                    let name = crate::text::clean(name);
                    let near = crate::text::nearest(name.as_str(), NAMES).map(|near| format!(", did you mean {near}?"));
                    let near = near.unwrap_or_default();
                    return Err(Error::Url { what: format!("the broker URL has {name}, which is unknown{near}") });
                }
            }
        }
        Ok(options)
    }

    /// The same as a configuration of rustls. Files that can't be read are named.
    pub fn config(&self) -> Result<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| wrong(format!("TLS can't be set up: {e}")))?;
        let builder = match self.ssl_cert_reqs {
            CertReqs::None => builder.dangerous().with_custom_certificate_verifier(Arc::new(verify::Anybody(provider))),
            _ if self.ssl_check_hostname == Some(false) => {
                let inner =
                    rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(self.roots()?), provider)
                        .build()
                        .map_err(|e| wrong(format!("TLS can't be set up: {e}")))?;
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verify::AnyName(inner)))
            }
            CertReqs::Required | CertReqs::Unsaid => builder.with_root_certificates(self.roots()?),
        };
        match &self.ssl_certfile {
            None => Ok(builder.with_no_client_auth()),
            Some(file) => {
                let key = self.ssl_keyfile.as_deref();
                let (chain, key) = (certificates(file, "ssl_certfile")?, private_key(key.unwrap_or(file))?);
                builder.with_client_auth_cert(chain, key).map_err(|e| {
                    wrong(format!("the certificate {} and its key don't go together: {e}", file.display()))
                })
            }
        }
    }

    /// Whose signature counts.
    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.authorities()?);
        Ok(roots)
    }

    /// The certificates of those whose signature counts, all of use: the file's, else the system's.
    pub fn authorities(&self) -> Result<Vec<CertificateDer<'static>>> {
        let usable = |certificate: &CertificateDer<'static>| RootCertStore::empty().add(certificate.clone());
        if let Some(file) = &self.ssl_ca_certs {
            let found = certificates(file, "ssl_ca_certs")?;
            for certificate in &found {
                usable(certificate)
                    .map_err(|e| wrong(format!("a certificate in {} is of no use: {e}", file.display())))?;
            }
            return Ok(found);
        }
        let mut found = rustls_native_certs::load_native_certs().certs;
        found.retain(|certificate| usable(certificate).is_ok());
        if found.is_empty() {
            return Err(wrong("this system knows no CA certificates: name a file with ssl_ca_certs".into()));
        }
        Ok(found)
    }
}

fn wrong(what: String) -> Error {
    Error::Setting { what }
}

/// All certificates of a file in PEM.
fn certificates(file: &Path, setting: &str) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    match read {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(wrong(format!("there is no certificate in {} ({setting})", file.display()))),
        Err(error) => Err(wrong(format!("can't read {} ({setting}): {}", file.display(), words::of_file(&error)))),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| {
        let why = words::of_file(&error);
        wrong(format!("can't read the key in {} (ssl_keyfile): {why}", file.display()))
    })
}

/// Makes TLS connections.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    /// The file that says whose signature counts, where one was named.
    authorities: Option<PathBuf>,
}

impl Tls {
    /// Reads the files that the options name.
    pub fn new(options: &SslOptions) -> Result<Self> {
        let connector = TlsConnector::from(Arc::new(options.config()?));
        Ok(Self { connector, authorities: options.ssl_ca_certs.clone() })
    }

    /// Shakes hands with a host on a connection that stands.
    pub async fn connect(&self, host: &str, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| std::io::Error::other("its name can't stand in a certificate"))?;
        let shaken = self.connector.connect(name, stream).await;
        shaken.map_err(|error| words::naming(error, self.authorities.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_urls_query_and_a_table_say_the_same() {
        let query = [("ssl_cert_reqs", "CERT_NONE"), ("ssl_ca_certs", "/ca.pem"), ("virtual_host", "2")];
        let from_url = SslOptions::from_query(query).expect("valid").expect("said");
        let from_table: SslOptions = toml::from_str("cert_reqs = 0\nssl_ca_certs = \"/ca.pem\"").expect("valid");
        assert_eq!(from_url, from_table);
        assert_eq!(SslOptions::from_query([("db", "1")]).expect("valid"), None);
        for (name, value, why) in [
            ("ssl_cert_reqs", "maybe", "takes \"required\""),
            ("ssl_ca_cert", "/x", "ssl_ca_cert, which is unknown, did you mean ssl_ca_certs?"),
        ] {
            let said = SslOptions::from_query([(name, value)]).expect_err("wrong").to_string();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn a_table_completes_what_a_url_says() {
        let table =
            SslOptions { ssl_cert_reqs: CertReqs::None, ssl_ca_certs: Some("/ca.pem".into()), ..SslOptions::default() };
        let scheme_alone = SslOptions::default();
        assert_eq!(SslOptions::of(Some(&scheme_alone), Some(&table)), Some(table.clone()));
        let named = SslOptions { ssl_ca_certs: Some("/other.pem".into()), ..SslOptions::default() };
        let both = SslOptions::of(Some(&named), Some(&table)).expect("TLS");
        assert_eq!((both.ssl_ca_certs, both.ssl_cert_reqs), (named.ssl_ca_certs.clone(), CertReqs::None));
        let strict = SslOptions { ssl_cert_reqs: CertReqs::Required, ..SslOptions::default() };
        let both = SslOptions::of(Some(&strict), Some(&table)).expect("TLS");
        assert_eq!(both.ssl_cert_reqs, CertReqs::Required, "the URL's own word holds");
        assert_eq!(SslOptions::of(None, Some(&table)), Some(table));
        assert_eq!(SslOptions::of(None, None), None);
    }

    #[test]
    fn files_that_cannot_be_read_are_named() {
        let told = |options: SslOptions| options.config().err().map(|e| e.to_string()).unwrap_or_default();
        let missing = SslOptions { ssl_ca_certs: Some("/nowhere/ca.pem".into()), ..Default::default() };
        assert_eq!(told(missing), "can't read /nowhere/ca.pem (ssl_ca_certs): No such file or directory");
        let file = tempfile::NamedTempFile::new().expect("temp");
        let empty = SslOptions { ssl_ca_certs: Some(file.path().into()), ..Default::default() };
        assert!(told(empty).starts_with("there is no certificate in "));
        let key = SslOptions {
            ssl_cert_reqs: CertReqs::None,
            ssl_certfile: Some("/nowhere/our.pem".into()),
            ..Default::default()
        };
        assert!(told(key).starts_with("can't read /nowhere/our.pem (ssl_certfile)"));
    }
}
