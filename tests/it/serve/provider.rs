//! A provider to log in at, on this machine: OpenID Connect, and the paths of Flower's own. It holds us to the rules
//! (client, redirect, PKCE), and lies where it is told to.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Map, Value, json};
use tokio_rustls::TlsAcceptor;

use super::NOW;
use crate::contract::redis::Pki;

pub const KEY: &str = "flower-tui";
pub const SECRET: &str = "the client's secret";
const CODE: &str = "code-1";
const ACCESS: &str = "access-1";

/// What it answers, and what it was asked.
#[derive(Default)]
struct Ways {
    /// Claims that are otherwise than they should be; null ones are left out.
    claims: Map<String, Value>,
    /// Documents by path.
    documents: HashMap<String, Value>,
    /// The token is signed with another key.
    forged: bool,
    /// What it was asked at `/authorize`.
    asked: HashMap<String, String>,
    /// How often a code was given back.
    redeemed: usize,
}

/// A provider, until it is dropped.
pub struct Provider {
    pub address: SocketAddr,
    tls: bool,
    ways: Arc<Mutex<Ways>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn key() -> Vec<u8> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key").serialize_der()
}

fn coded(bytes: impl AsRef<[u8]>) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes.as_ref())
}

fn pairs(text: &str) -> HashMap<String, String> {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

impl Provider {
    /// Starts one, in the clear or with TLS.
    pub async fn start(pki: Option<&Pki>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("address");
        let ways = Arc::new(Mutex::new(Ways::default()));
        let (seen, own, other) = (ways.clone(), Arc::new(key()), Arc::new(key()));
        let acceptor = pki.map(acceptor);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (ways, own, other) = (seen.clone(), own.clone(), other.clone());
                let service =
                    service_fn(move |request| answer(request, address, ways.clone(), own.clone(), other.clone()));
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let http = hyper::server::conn::http1::Builder::new();
                    // Who goes away early is tested as well.
                    match acceptor {
                        None => drop(http.serve_connection(TokioIo::new(stream), service).await),
                        Some(acceptor) => {
                            let Ok(stream) = acceptor.accept(stream).await else { return };
                            drop(http.serve_connection(TokioIo::new(stream), service).await);
                        }
                    }
                });
            }
        });
        Self { address, tls: pki.is_some(), ways, serving }
    }

    pub fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Host and port, as its certificate has the host.
    pub fn domain(&self) -> String {
        assert!(self.tls, "it has a certificate");
        format!("localhost:{}", self.address.port())
    }

    /// From now on a claim is this; null leaves it out.
    pub fn claim(&self, name: &str, value: Value) {
        self.ways.lock().claims.insert(name.into(), value);
    }

    pub fn forge(&self) {
        self.ways.lock().forged = true;
    }

    /// From now on this is what lies at a path.
    pub fn document(&self, path: &str, document: Value) {
        self.ways.lock().documents.insert(path.into(), document);
    }

    pub fn redeemed(&self) -> usize {
        self.ways.lock().redeemed
    }

    /// Lets somebody log in who was sent here; what it sends back: code and state.
    pub fn consent(&self, to: &str) -> String {
        let (_, query) = to.split_once('?').expect("a query");
        let asked = pairs(query);
        assert_eq!((asked["response_type"].as_str(), asked["client_id"].as_str()), ("code", KEY));
        let state = asked["state"].clone();
        self.ways.lock().asked = asked;
        format!("code={CODE}&state={state}")
    }
}

fn acceptor(pki: &Pki) -> TlsAcceptor {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let chain = vec![CertificateDer::from_pem_file(&pki.certificate).expect("certificate")];
    let key = PrivateKeyDer::from_pem_file(&pki.key).expect("key");
    let builder = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("TLS").with_no_client_auth();
    TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).expect("TLS")))
}

async fn answer(
    request: Request<Incoming>,
    address: SocketAddr,
    ways: Arc<Mutex<Ways>>,
    own: Arc<Vec<u8>>,
    other: Arc<Vec<u8>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let form = pairs(&String::from_utf8_lossy(&body));
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let path = head.uri.path_and_query().map_or("", |path| path.as_str());
    let issuer = format!("http://{address}");
    let mut ways = ways.lock();
    let at = |path: &str| format!("{issuer}{path}");
    let known = ways.documents.get(path).cloned();
    let (status, document): (u16, Value) = match path {
        _ if path.ends_with("/token") || path.ends_with("/access_token") => {
            ways.redeemed += 1;
            match redeem(&ways, &form, text("authorization")) {
                Some(error) => (400, json!({"error": error})),
                None => (200, tokens(&ways, &issuer, if ways.forged { &other } else { &own })),
            }
        }
        "/.well-known/openid-configuration" if known.is_none() => {
            let mut document = json!({
                "issuer": issuer, "authorization_endpoint": at("/authorize?tenant=1"), "token_endpoint": at("/token"),
                "jwks_uri": at("/keys"), "userinfo_endpoint": at("/userinfo"),
            });
            if ways.documents.contains_key("post") {
                document["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]);
            }
            (200, document)
        }
        "/keys" => (200, json!({"keys": [{"kty": "RSA", "kid": "old"}, jwk(&own)]})),
        _ => match known {
            Some(_) if ![format!("Bearer {ACCESS}").as_str(), ""].contains(&text("authorization")) => (401, json!({})),
            Some(document) => (200, document),
            None => (404, json!({})),
        },
    };
    let mut response = Response::new(Full::new(Bytes::from(document.to_string())));
    *response.status_mut() = status.try_into().expect("a status");
    Ok(response)
}

/// Why a code is not taken.
fn redeem(ways: &Ways, form: &HashMap<String, String>, authorization: &str) -> Option<&'static str> {
    let said = |name: &str| form.get(name).map_or("", String::as_str);
    let coded_both =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let both = format!("{}:{}", coded_both(KEY), coded_both(SECRET));
    let by_header = authorization == format!("Basic {}", base64_simd::STANDARD.encode_to_string(both));
    let by_form = said("client_id") == KEY && said("client_secret") == SECRET;
    if by_header == by_form || ways.documents.contains_key("post") && by_header {
        return Some("invalid_client");
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, said("code_verifier").as_bytes());
    let challenged = ways.asked.get("code_challenge") == Some(&coded(digest));
    let s256 = ways.asked.get("code_challenge_method").is_some_and(|way| way == "S256");
    let back = ways.asked.get("redirect_uri").is_some_and(|uri| uri == said("redirect_uri"));
    let ours = said("code") == CODE && said("grant_type") == "authorization_code";
    (!(challenged && s256 && back && ours)).then_some("invalid_grant")
}

fn tokens(ways: &Ways, issuer: &str, key: &[u8]) -> Value {
    let now = NOW / 1_000_000;
    let mut claims = json!({
        "iss": issuer, "aud": KEY, "sub": "subject-1", "iat": now, "exp": now + 300, "nonce": ways.asked.get("nonce"),
        "email": "alice@example.com", "email_verified": true,
    });
    for (name, value) in &ways.claims {
        claims[name] = value.clone();
    }
    let claims: Map<String, Value> = claims
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, v)| !v.is_null())
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    let head = json!({"alg": "ES256", "kid": "now"});
    let signed = format!("{}.{}", coded(head.to_string()), coded(Value::Object(claims).to_string()));
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key, &random).expect("a key");
    let signature = key.sign(&random, signed.as_bytes()).expect("signed");
    json!({"access_token": ACCESS, "token_type": "Bearer", "id_token": format!("{signed}.{}", coded(signature))})
}

fn jwk(key: &[u8]) -> Value {
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key, &SystemRandom::new()).expect("a key");
    let point = key.public_key().as_ref();
    json!({"kty": "EC", "crv": "P-256", "kid": "now", "use": "sig", "x": coded(&point[1..33]), "y": coded(&point[33..])})
}

/// The client's secret and what a provider gives stand in none of these.
pub fn holds_no_secret(text: &str) {
    for secret in [SECRET, ACCESS, CODE] {
        assert!(!text.contains(secret), "{text}");
    }
}
