//! What the simulated applications call.

use fastrand::Rng;

use super::scenario::Scenario;

/// A registered task and how it behaves.
#[derive(Clone, Debug)]
pub struct Kind {
    pub name: &'static str,
    pub queue: &'static str,
    /// How often it is called, relative to others.
    pub weight: u32,
    /// Seconds, at the median.
    pub runtime: f64,
    /// Ratio of the slowest to the median.
    pub spread: f64,
    /// Chance of an exception.
    pub fails: f64,
    /// Retries before it fails for good.
    pub retries: u32,
    pub exception: &'static str,
    pub raised_at: &'static str,
    pub args: Args,
    /// Starts these when it succeeds.
    pub then: Option<(&'static str, u32)>,
    pub priority: u8,
}

/// How arguments are made up.
#[derive(Clone, Copy, Debug)]
pub enum Args {
    Charge,
    Mail,
    Report,
    Picture,
    None,
    Hostile,
}

const PLAIN: Kind = Kind {
    name: "",
    queue: "default",
    weight: 0,
    runtime: 0.05,
    spread: 4.0,
    fails: 0.0,
    retries: 0,
    exception: "",
    raised_at: "",
    args: Args::None,
    then: None,
    priority: 0,
};

const KINDS: [Kind; 9] = [
    Kind {
        name: "billing.charge_card",
        queue: "payments",
        weight: 30,
        runtime: 0.35,
        spread: 6.0,
        fails: 0.05,
        retries: 2,
        exception: "CardDeclined('insufficient funds for card 8812')",
        raised_at: "gateway.py:88 in charge",
        args: Args::Charge,
        ..PLAIN
    },
    Kind {
        name: "billing.invoices.send_reminder",
        queue: "payments",
        weight: 6,
        runtime: 0.2,
        args: Args::Charge,
        priority: 3,
        ..PLAIN
    },
    Kind {
        name: "mail.send",
        weight: 40,
        runtime: 0.044,
        fails: 0.003,
        exception: "SMTPServerDisconnected('please run connect() first')",
        raised_at: "smtplib.py:405 in send",
        args: Args::Mail,
        ..PLAIN
    },
    Kind { name: "search.reindex_document", weight: 18, runtime: 0.12, args: Args::Picture, ..PLAIN },
    Kind {
        name: "media.thumbnail",
        queue: "media",
        weight: 12,
        runtime: 0.8,
        spread: 5.0,
        args: Args::Picture,
        ..PLAIN
    },
    Kind {
        name: "media.transcode",
        queue: "media",
        weight: 1,
        runtime: 14.0,
        spread: 3.0,
        fails: 0.08,
        exception: "CalledProcessError(137, ['ffmpeg', '-i', 'in.mov'])",
        raised_at: "subprocess.py:571 in run",
        args: Args::Picture,
        ..PLAIN
    },
    Kind {
        name: "reports.collect",
        queue: "reports",
        weight: 1,
        runtime: 0.9,
        args: Args::Report,
        then: Some(("reports.render", 3)),
        ..PLAIN
    },
    Kind {
        name: "reports.render",
        queue: "reports",
        runtime: 3.8,
        spread: 4.0,
        fails: 0.06,
        exception: "MemoryError()",
        raised_at: "render.py:212 in layout",
        args: Args::Report,
        ..PLAIN
    },
    Kind { name: "ops.cleanup_sessions", queue: "default", weight: 2, runtime: 0.5, ..PLAIN },
];

const HOSTILE: [Kind; 3] = [
    Kind {
        name: "evil.\x1b[2J\x1b]0;owned\x07\x1b[31mred",
        weight: 10,
        fails: 0.5,
        exception: "\x1b[5mBlinkError('\u{202e}txet')",
        raised_at: "x\x1b[1A.py:1 in \u{9b}5m",
        args: Args::Hostile,
        ..PLAIN
    },
    Kind {
        name: "a.very.long.package.name.that.nobody.would.choose.but.somebody.did.a.very.long.package.name.that.nobody.would.choose.but.somebody.did.a.very.long.package.name.that.nobody.would.choose.but.somebody.did.a.very.long.package.name.that.nobody.would.choose.but.somebody.did.once.more.and.the.function.name_at_its_end",
        weight: 10,
        args: Args::Hostile,
        ..PLAIN
    },
    Kind { name: "日本語.タスク", weight: 10, args: Args::Hostile, ..PLAIN },
];

/// The registered tasks of a scenario.
pub fn kinds(scenario: Scenario) -> Vec<Kind> {
    let mut kinds = match scenario {
        Scenario::Hostile => HOSTILE.to_vec(),
        _ => KINDS.to_vec(),
    };
    if scenario == Scenario::Healthy {
        kinds.iter_mut().for_each(|k| k.fails = 0.0);
    }
    kinds
}

/// Queues of a scenario.
pub fn queues(kinds: &[Kind]) -> Vec<&'static str> {
    let mut queues: Vec<_> = kinds.iter().map(|k| k.queue).collect();
    queues.sort_unstable();
    queues.dedup();
    queues
}

/// Picks a kind by weight.
pub fn pick(kinds: &[Kind], rng: &mut Rng) -> usize {
    let total: u32 = kinds.iter().map(|k| k.weight).sum();
    let mut point = rng.u32(0..total.max(1));
    for (i, kind) in kinds.iter().enumerate() {
        if point < kind.weight {
            return i;
        }
        point -= kind.weight;
    }
    0
}

/// Runtime of one run, in seconds: mostly near the median, with a long tail.
pub fn runtime(kind: &Kind, rng: &mut Rng) -> f64 {
    let u = rng.f64();
    let tail = if u > 0.94 { 1.0 + (u - 0.94) / 0.06 * (kind.spread - 1.0) } else { 0.6 + 0.8 * u };
    kind.runtime * tail
}

/// Seconds of process time a call costs on the average, with what it starts.
pub fn mean_runtime(kinds: &[Kind]) -> f64 {
    let total: f64 = kinds.iter().map(|k| f64::from(k.weight)).sum();
    let mean = |k: &Kind| k.runtime * (1.0 * 0.94 + (1.0 + k.spread) / 2.0 * 0.06);
    let own: f64 = kinds.iter().map(|k| f64::from(k.weight) * mean(k)).sum();
    let children: f64 = kinds
        .iter()
        .filter_map(|k| {
            let (name, n) = k.then?;
            let child = kinds.iter().find(|c| c.name == name)?;
            Some(f64::from(k.weight * n) * mean(child))
        })
        .sum();
    (own + children) / total.max(1.0)
}

/// `args` and `kwargs` as `repr` prints them.
pub fn arguments(args: Args, rng: &mut Rng) -> (String, String) {
    const PEOPLE: [&str; 6] = ["ada", "linus", "grace", "edsger", "barbara", "ken"];
    const TENANTS: [&str; 4] = ["acme", "globex", "initech", "umbrella"];
    let person = PEOPLE[rng.usize(0..PEOPLE.len())];
    let tenant = TENANTS[rng.usize(0..TENANTS.len())];
    match args {
        Args::Charge => (
            format!("({}, '{}')", rng.u32(1_000..99_999), if rng.bool() { "EUR" } else { "USD" }),
            format!("{{'tenant': '{tenant}'}}"),
        ),
        Args::Mail => (format!("('{person}@{tenant}.example',)"), "{'template': 'welcome', 'retry': True}".into()),
        Args::Report => (
            format!("('2026-{:02}',)", rng.u32(1..13)),
            format!("{{'tenant': '{tenant}', 'format': 'pdf', 'pages': [1, 2, {}]}}", rng.u32(3..90)),
        ),
        Args::Picture => (format!("('s3://{tenant}/{:08x}.jpg', ({}, {}))", rng.u32(..), 320, 240), "{}".into()),
        Args::None => ("()".into(), "{}".into()),
        Args::Hostile => ("('\x1b[2J\x07', 'é\u{202e}gnp.exe')".into(), "{'k\\n': '\\x1b[31m'}".into()),
    }
}
