//! What goes and what stays, by example and for any nesting and cut.

use super::*;
use proptest::prelude::*;

fn redacted(text: &str) -> String {
    let once = Redactor::default().text(text).into_owned();
    assert_eq!(Redactor::default().text(&once), once, "twice is once");
    once
}

/// Each text, and what it becomes.
fn hides(cases: &[(&str, &str)]) {
    for (text, want) in cases {
        assert_eq!(redacted(text), *want, "of {text}");
    }
}

fn stays(cases: &[&str]) {
    for text in cases {
        assert!(matches!(Redactor::default().text(text), Cow::Borrowed(_)), "{text} became {}", redacted(text));
    }
}

#[test]
fn values_in_reprs_and_json_go_and_nothing_else() {
    hides(&[
        ("{'user': 'bob', 'password': 'x', 'n': 1}", "{'user': 'bob', 'password': '***', 'n': 1}"),
        (r#"{"password": "x", "n": 1}"#, r#"{"password": "***", "n": 1}"#),
        ("{'a': {'token': [1, 2, {'b': 3}]}, 'c': 2}", "{'a': {'token': '***'}, 'c': 2}"),
        ("({'pwd': 123456}, 'left')", "({'pwd': '***'}, 'left')"),
        (r#"{"secret":{"a":"]}"},"b":[1]}"#, r#"{"secret":"***","b":[1]}"#),
        ("{b'password': b'x\\xff', 'k': 1}", "{b'password': b'***', 'k': 1}"),
        (r#"{'password': "it's", 'k': 1}"#, r#"{'password': "***", 'k': 1}"#),
        (r"{'password': 'it\'s', 'k': 1}", "{'password': '***', 'k': 1}"),
        ("{'password': Secret('a', 'b'), 'k': 1}", "{'password': '***', 'k': 1}"),
        ("{'token': <Token a, b>, 'k': 1}", "{'token': '***', 'k': 1}"),
        ("{\"password\":\n  \"x\"\n}", "{\"password\":\n  \"***\"\n}"),
        ("{'password': '', 'token': None, 'auth': True}", "{'password': '', 'token': None, 'auth': True}"),
    ]);
}

#[test]
fn values_of_calls_and_of_code_go() {
    hides(&[
        ("User(name='bob', password='x', n=1)", "User(name='bob', password='***', n=1)"),
        ("Namespace(token='x')", "Namespace(token='***')"),
        ("Login(pwd=12345, n=1)", "Login(pwd=***, n=1)"),
        ("f(auth=('u', 'p'), n=1)", "f(auth=***, n=1)"),
        ("f(token=Secret('a, b'), n=1)", "f(token=***, n=1)"),
        ("password = 'x'", "password = '***'"),
        ("d['password'] = 'x'", "d['password'] = '***'"),
        ("host=h password=x dbname=d", "host=h password=*** dbname=d"),
        ("{password: 'x', n: 1}", "{password: '***', n: 1}"),
        ("user: bob\npassword: hunter2\nn: 1", "user: bob\npassword: ***\nn: 1"),
        (r"'user: bob\npassword: hunter2'", r"'user: bob\npassword: ***'"),
    ]);
}

#[test]
fn values_within_texts_go_and_the_escapes_stay_valid() {
    hides(&[
        (r#"('{"password": "x", "n": 1}', 2)"#, r#"('{"password": "***", "n": 1}', 2)"#),
        (r#"{"body": "{\"token\": \"a b\", \"n\": 1}"}"#, r#"{"body": "{\"token\": \"***\", \"n\": 1}"}"#),
        (r#"{"body": "{\"token\": 5, \"n\": 1}"}"#, r#"{"body": "{\"token\": \"***\", \"n\": 1}"}"#),
        (r#"{"body": "{\"token\": [1, \"]\"], \"n\": 1}"}"#, r#"{"body": "{\"token\": \"***\", \"n\": 1}"}"#),
        (r#"["[\"{\\\"pwd\\\": \\\"x\\\"}\"]"]"#, r#"["[\"{\\\"pwd\\\": \\\"***\\\"}\"]"]"#),
        (r#"'{"password": "p\\"q", "n": 1}'"#, r#"'{"password": "***", "n": 1}'"#),
        // Celery prints texts without escaping their backslashes.
        (r#"'{"password": "p\"q", "n": 1}'"#, r#"'{"password": "***", "n": 1}'"#),
        (r#"'{"token": "ab...', 1"#, r#"'{"token": "***"#),
        (r#"{"body": "{\"token\": \"ab...", "n": 1}"#, r#"{"body": "{\"token\": \"***", "n": 1}"#),
        (r#"{"body": "{\"token\": [12...", "n": 1}"#, r#"{"body": "{\"token\": \"***\"", "n": 1}"#),
    ]);
}

#[test]
fn urls_and_headers_lose_their_secrets() {
    hides(&[
        ("'https://h/x?token=abc&n=1'", "'https://h/x?token=***&n=1'"),
        ("('/reset?n=1&token=abc', 'b')", "('/reset?n=1&token=***', 'b')"),
        ("user[password]=x&n=1", "user[password]=***&n=1"),
        ("redis://:hunter2@host:6379/0", "redis://:***@host:6379/0"),
        ("'amqp://u:p@ss@h//' 'b'", "'amqp://u:***@h//' 'b'"),
        ("redis://:a/b@h/0", "redis://:***@h/0"),
        ("redis://:hunt", "redis://:***"),
        ("'amqp://user:hun...'", "'amqp://user:***'"),
        ("{'Authorization': 'Bearer xyz', 'A': 'b'}", "{'Authorization': '***', 'A': 'b'}"),
        ("curl -H 'Authorization: Bearer xyz' h", "curl -H 'Authorization: ***' h"),
        ("sent Authorization: bearer xyz", "sent Authorization: ***"),
        ("Cookie: a=b; sid=c\nHost: h", "Cookie: ***\nHost: h"),
        ("[('Authorization', 'Bearer x'), ('A', 'b')]", "[('Authorization', '***'), ('A', 'b')]"),
        ("OrderedDict([('user', 'a'), ('password', 'x')])", "OrderedDict([('user', 'a'), ('password', '***')])"),
        ("[[b'x-api-key', b'x']]", "[[b'x-api-key', b'***']]"),
    ]);
    stays(&[
        "http://host:8080/path@x",
        "http://host:8080",
        "http://[::1]:80/",
        "http://user@host:80/",
        "sqlite:///x:y@z",
        "celery://a:b/c",
    ]);
}

#[test]
fn what_was_cut_off_goes_to_its_end() {
    hides(&[
        ("{'password': 'abc...", "{'password': '***"),
        ("{'password': 'ab", "{'password': '***"),
        ("{'token': [1, {'a': 'b", "{'token': '***'"),
        ("{'token': 12...", "{'token': '***'"),
        ("password=ab", "password=***"),
        ("{'password': 'abc...', ...}", "{'password': '***', ...}"),
    ]);
    stays(&["{'password': '", "{'password':", "{'password'", "{'passw", "password=", ""]);
}

#[test]
fn a_key_is_one_by_its_last_word() {
    let redactor = Redactor::default();
    for key in [
        "password",
        "PASSWORD",
        "db_password",
        "accessToken",
        "APIToken",
        "X-Auth-Token",
        "api-key",
        "apiKey",
        "API Key",
        "X_API_KEY",
        "new_password2",
        "Set-Cookie",
        "sessionid",
        "авто_token",
    ] {
        assert!(redactor.is_key(key), "{key}");
        assert_eq!(redactor.text(&format!("{{'{key}': 'x'}}")), format!("{{'{key}': '***'}}"));
    }
    for key in [
        "tokens_used",
        "author",
        "passwordless",
        "key",
        "token_type",
        "max_tokens",
        "secretary",
        "oauth",
        "",
        "夜token",
    ] {
        assert!(!redactor.is_key(key), "{key}");
        stays(&[&format!("{{'{key}': 'x'}}")]);
    }
}

#[test]
fn what_is_no_secret_is_left_alone() {
    stays(&[
        "('password', 'x')",
        "['token', 'a', 'b']",
        "[['token', 'a', 'b']]",
        "Unexpected token: 'foo'",
        "Invalid password: too short",
        "ValueError('bad token: expected (')",
        "{'permission': 'auth:login', 'key': 'token:12'}",
        "{'next': '/reset?token=', 'user': 'bob'}",
        r#"{"next": "/reset?token=", "user": "bob"}"#,
        r#"{"b": "{\"next\": \"/reset?token=\", \"user\": 1}"}"#,
        "connect to auth:5000 failed",
        "it's 12:30, don't",
        "f(password='')",
    ]);
}

#[test]
fn one_s_own_names_take_the_place_of_the_usual_ones() {
    let own = Redactor::new(["PIN code", "iban"]);
    assert_eq!(
        own.text("{'pin_code': 1, 'IBAN': 'x', 'token': 'y'}"),
        "{'pin_code': '***', 'IBAN': '***', 'token': 'y'}"
    );
    let none = Redactor::new(Vec::<String>::new());
    assert_eq!(none, Redactor::off());
    assert_eq!(none.text("password='x' redis://:a@h"), "password='x' redis://:a@h");
}

#[test]
fn in_the_code_of_a_traceback_only_literals_are_secrets() {
    let trace = "Traceback (most recent call last):\n  File \"/srv/a.py\", line 3, in login\n    \
                 login(user, password=password, token='abc', auth=get(x))\n    password = form['password']\n\
                 LoginError: {'user': 'bob', 'token': [1, 2]} at redis://:pw@h\n";
    let want = "Traceback (most recent call last):\n  File \"/srv/a.py\", line 3, in login\n    \
                login(user, password=password, token='***', auth=get(x))\n    password = form['password']\n\
                LoginError: {'user': 'bob', 'token': '***'} at redis://:***@h\n";
    assert_eq!(Redactor::default().traceback(trace), want);
    assert_eq!(Redactor::default().traceback(want), want);
}

/// Four times as long takes about four times as long, and not sixteen times.
#[test]
fn a_hostile_text_costs_no_more_than_its_length() {
    let redactor = Redactor::default();
    for part in ["token=' ", "token=( ", "token=\"' ", "[('token', \"x ", "://a:1", "'password': <", "token: {'"] {
        let time = |bytes: usize| {
            let text = format!("{}\", 1", part.repeat(bytes / part.len()));
            let trace = format!("    {text}\nE: {text}");
            let begun = std::time::Instant::now();
            redactor.text(&text);
            redactor.traceback(&trace);
            begun.elapsed()
        };
        // Below this there is a constant part, by which little texts are slower.
        let is_linear = || time(64 << 10) < time(16 << 10) * 10;
        // Something else may have run meanwhile; not each time.
        assert!((0..20).any(|_| is_linear()), "{part}");
    }
}

#[test]
fn documents_are_redacted_by_their_keys_and_in_their_texts() {
    let mut document = serde_json::json!({
        "kwargs": "{'password': 'x'}", "a": [{"apiKey": [1, 2], "token": null, "n": 5}], "secret": "", "auth": {"u": 1},
    });
    Redactor::default().json(&mut document);
    let want = serde_json::json!({
        "kwargs": "{'password': '***'}", "a": [{"apiKey": "***", "token": null, "n": 5}], "secret": "", "auth": "***",
    });
    assert_eq!(document, want);
}

/// A literal, as Python or as JSON prints it.
#[derive(Clone, Debug)]
enum Tree {
    Leaf(String),
    Number(i64),
    List(Vec<Tree>),
    Tuple(Vec<Tree>),
    Dict(Vec<(String, Tree)>),
    /// A document in a text.
    Json(Box<Tree>),
}

fn python_text(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c == quote => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out + &quote.to_string()
}

impl Tree {
    fn python(&self) -> String {
        let row = |items: &[Tree]| items.iter().map(Tree::python).collect::<Vec<_>>().join(", ");
        match self {
            Tree::Leaf(text) => python_text(text),
            Tree::Number(n) => n.to_string(),
            Tree::List(items) => format!("[{}]", row(items)),
            Tree::Tuple(items) => format!("({},)", row(items)),
            Tree::Dict(pairs) => {
                let pairs = pairs.iter().map(|(k, v)| format!("{}: {}", python_text(k), v.python()));
                format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
            }
            Tree::Json(tree) => python_text(&tree.json().to_string()),
        }
    }

    fn json(&self) -> Value {
        match self {
            Tree::Leaf(text) => text.as_str().into(),
            Tree::Number(n) => (*n).into(),
            Tree::List(items) | Tree::Tuple(items) => items.iter().map(Tree::json).collect(),
            Tree::Dict(pairs) => Value::Object(pairs.iter().map(|(k, v)| (k.clone(), v.json())).collect()),
            Tree::Json(tree) => tree.json().to_string().into(),
        }
    }
}

/// Keys and texts that stand around a secret.
const PLAIN: &str = "[a-m .'\"\\\\{}\\[\\](),]{0,8}";

fn around(inner: impl Strategy<Value = Tree> + 'static) -> impl Strategy<Value = Tree> {
    inner.boxed().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Tree::List),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Tree::Tuple),
            prop::collection::vec(("[a-m]{1,6}", inner.clone()), 1..4).prop_map(Tree::Dict),
            inner.prop_map(|tree| Tree::Json(Box::new(tree))),
        ]
    })
}

/// A secret as it is, and hidden.
fn simple_secret() -> impl Strategy<Value = (Tree, Tree)> {
    let value = around("[N-Z0-9]{1,4}[N-Z0-9 :=,(]{0,6}[N-Z]".prop_map(Tree::Leaf));
    let inner = (value, PLAIN, PLAIN).prop_map(|(value, before, after)| {
        let around = |value| {
            let pairs = [("a", Tree::Leaf(before.clone())), ("auth_token", value), ("b", Tree::Leaf(after.clone()))];
            Tree::Dict(pairs.into_iter().map(|(key, tree)| (key.to_owned(), tree)).collect())
        };
        (around(value), around(Tree::Leaf(HIDDEN.to_owned())))
    });
    inner.boxed().prop_recursive(4, 24, 1, |inner| {
        let both = |f: fn(Tree) -> Tree| move |(a, b)| (f(a), f(b));
        prop_oneof![
            inner.clone().prop_map(both(|tree| Tree::List(vec![Tree::Number(1), tree]))),
            inner.clone().prop_map(both(|tree| Tree::Dict(vec![("k".into(), tree)]))),
            inner.prop_map(both(|tree| Tree::Json(Box::new(tree)))),
        ]
    })
}

/// Nothing that is looked for stands in what is around: its letters are others.
fn secret_under_a_key() -> impl Strategy<Value = Tree> {
    let leaf = "[N-Z0-9]{4,8}[N-Z'\"\\\\{}\\[\\](),:= ]{0,6}[N-Z]{4,8}".prop_map(Tree::Leaf);
    let value = prop_oneof![leaf.clone(), (100_000_000i64..999_999_999).prop_map(Tree::Number), around(leaf),].boxed();
    let key = prop::sample::select(vec!["password", "db_password", "accessToken", "X-Auth-Token", "api_key"]);
    let beside = (PLAIN, PLAIN);
    (key, value, beside).prop_map(|(key, value, (before, after))| {
        let pairs = [("a", Tree::Leaf(before)), (key, value), ("b", Tree::Leaf(after))];
        Tree::Dict(pairs.into_iter().map(|(key, tree)| (key.to_owned(), tree)).collect())
    })
}

/// Pieces of four letters that occur in secrets only.
fn leaks(shown: &str) -> Option<&str> {
    let of_secret = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit();
    shown.as_bytes().windows(4).any(|w| w.iter().all(of_secret)).then_some(shown)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_piece_of_a_secret_is_left_wherever_its_text_was_cut(
        tree in around(secret_under_a_key()), cut in any::<prop::sample::Index>(), dots in any::<bool>(), json in any::<bool>(),
    ) {
        let text = if json { tree.json().to_string() } else { tree.python() };
        let whole = Redactor::default().text(&text).into_owned();
        prop_assert_eq!(leaks(&whole), None, "of {}", text);
        let part = format!("{}{}", &text[..cut.index(text.len() + 1)], if dots { "..." } else { "" });
        let shown = Redactor::default().text(&part).into_owned();
        prop_assert_eq!(leaks(&shown), None, "of {}", part);
        prop_assert_eq!(Redactor::default().text(&shown).into_owned(), shown.clone());
    }

    #[test]
    fn what_stands_around_a_secret_stays_as_it_was((whole, hidden) in simple_secret()) {
        for print in [Tree::python, |tree: &Tree| tree.json().to_string()] {
            prop_assert_eq!(redacted(&print(&whole)), print(&hidden), "of {}", print(&whole));
        }
    }

    #[test]
    fn a_text_without_keys_comes_back_as_it_was(tree in around(PLAIN.prop_map(Tree::Leaf))) {
        let text = tree.python();
        prop_assert!(matches!(Redactor::default().text(&text), Cow::Borrowed(_)), "{text}");
    }

    #[test]
    fn any_text_is_taken_and_twice_is_once(parts in prop::collection::vec(prop_oneof![
        Just("password".to_owned()), Just("://".to_owned()), Just(": ".to_owned()), Just("=".to_owned()),
        Just("Bearer ".to_owned()), "['\"\\\\\\[\\](){}<>,;&@/. \\n]", "\\PC{0,3}", "[a-z]{1,3}",
    ], 0..24)) {
        let text = parts.concat();
        for redact in [Redactor::text, Redactor::traceback] {
            let once = redact(&Redactor::default(), &text).into_owned();
            let twice = redact(&Redactor::default(), &once).into_owned();
            prop_assert_eq!(&twice, &once, "of {}", text);
        }
    }
}
