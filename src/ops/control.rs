//! What workers can be told: each order with its risk, its words on the command line, and the question before it.

use crate::celery::pidbox::Method;
use crate::clock::Stamp;
use crate::state::Model;
use crate::state::worker::Worker;

use super::command::{NAMED, Preview, Risk, join, plural, quote};

/// An order to workers.
#[derive(Debug, Clone, PartialEq)]
pub enum Control {
    Grow(u32),
    Shrink(u32),
    RestartPool,
    Autoscale {
        max: u32,
        min: u32,
    },
    AddQueue(String),
    CancelQueue(String),
    /// `rate` as Celery writes it; zero lifts the limit.
    RateLimit {
        task: String,
        rate: String,
    },
    /// Seconds; `None` is no limit.
    TimeLimit {
        task: String,
        soft: Option<f64>,
        hard: Option<f64>,
    },
    Shutdown,
    /// Consumes no more, finishes what it took, is shut down.
    Drain,
    /// Drained and shut down one after the other, each once the one before is replaced.
    RollingRestart,
    /// So many processes in all pools together.
    Total(u32),
    Ping,
    Events(bool),
}

/// Columns of the lines that name many workers.
const WIDTH: usize = 90;

/// The words that name an order on the command line.
pub const VERBS: [&str; 15] = [
    "grow",
    "shrink",
    "autoscale",
    "restart-pool",
    "add-queue",
    "cancel-queue",
    "rate-limit",
    "time-limit",
    "enable-events",
    "disable-events",
    "ping",
    "shutdown",
    "drain",
    "rolling-restart",
    "total",
];

impl Control {
    /// How much harm it can do.
    pub fn risk(&self) -> Risk {
        match self {
            Control::Ping => Risk::Looks,
            Control::Shrink(_) | Control::Total(_) | Control::Shutdown | Control::Drain | Control::RollingRestart => {
                Risk::Destroys
            }
            _ => Risk::Changes,
        }
    }

    /// Its word on the command line and in logs.
    pub fn verb(&self) -> &'static str {
        match self {
            Control::Grow(_) => "grow",
            Control::Shrink(_) => "shrink",
            Control::RestartPool => "restart-pool",
            Control::Autoscale { .. } => "autoscale",
            Control::AddQueue(_) => "add-queue",
            Control::CancelQueue(_) => "cancel-queue",
            Control::RateLimit { .. } => "rate-limit",
            Control::TimeLimit { .. } => "time-limit",
            Control::Shutdown => "shutdown",
            Control::Drain => "drain",
            Control::RollingRestart => "rolling-restart",
            Control::Total(_) => "total",
            Control::Ping => "ping",
            Control::Events(true) => "enable-events",
            Control::Events(false) => "disable-events",
        }
    }

    /// What stands behind its word on the command line.
    pub fn arguments(&self) -> Vec<String> {
        let limit = |secs: &Option<f64>| secs.map_or_else(|| "none".to_owned(), |s| s.to_string());
        match self {
            Control::Grow(n) | Control::Shrink(n) | Control::Total(n) => vec![n.to_string()],
            Control::Autoscale { max, min } => vec![format!("{max},{min}")],
            Control::AddQueue(queue) | Control::CancelQueue(queue) => vec![queue.clone()],
            Control::RateLimit { task, rate } => vec![task.clone(), rate.clone()],
            Control::TimeLimit { task, soft, hard } => vec![task.clone(), limit(soft), limit(hard)],
            Control::RestartPool
            | Control::Shutdown
            | Control::Drain
            | Control::RollingRestart
            | Control::Ping
            | Control::Events(_) => Vec::new(),
        }
    }

    /// Reads an order as [`Control::verb`] and [`Control::arguments`] write it.
    pub fn parse(verb: &str, arguments: &[String]) -> Result<Self, String> {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let takes = |what: &str| Err(format!("{verb} takes {what}"));
        Ok(match (verb, &arguments[..]) {
            ("grow" | "shrink", []) => sized(verb, 1),
            ("grow" | "shrink", [n]) => match n.parse::<u32>() {
                Ok(n) if n > 0 => sized(verb, n),
                _ => return takes("a number above zero"),
            },
            ("grow" | "shrink", _) => return takes("one number"),
            ("total", [n]) => match n.parse::<u32>() {
                Ok(n) if (1..=99_999).contains(&n) => Control::Total(n),
                _ => return takes("a number above zero"),
            },
            ("total", _) => return takes("one number"),
            ("autoscale", [range]) => match range.split_once(',').map(|(max, min)| (max.trim(), min.trim())) {
                Some((max, min)) => range_of(max, min)?,
                None => return takes("MAX,MIN"),
            },
            ("autoscale", _) => return takes("MAX,MIN"),
            ("add-queue", [queue]) => Control::AddQueue(name(queue, "a queue")?),
            ("cancel-queue", [queue]) => Control::CancelQueue(name(queue, "a queue")?),
            ("add-queue" | "cancel-queue", _) => return takes("the name of one queue"),
            ("rate-limit", [task, rate]) => {
                check_rate(rate)?;
                Control::RateLimit { task: name(task, "a task")?, rate: (*rate).to_owned() }
            }
            ("rate-limit", _) => return takes("TASK and RATE"),
            ("time-limit", [task, soft, hard]) => limits_of(task, soft, hard)?,
            ("time-limit", _) => return takes("TASK, SOFT and HARD"),
            (_, [_, ..]) => return Err(format!("there is too much behind {verb}")),
            ("restart-pool", []) => Control::RestartPool,
            ("shutdown", []) => Control::Shutdown,
            ("drain", []) => Control::Drain,
            ("rolling-restart", []) => Control::RollingRestart,
            ("ping", []) => Control::Ping,
            ("enable-events", []) => Control::Events(true),
            ("disable-events", []) => Control::Events(false),
            _ => return Err(format!("there is no action {verb}")),
        })
    }

    /// Whether it takes several steps, and can be stopped between them.
    pub fn is_stepwise(&self) -> bool {
        self.method().is_none()
    }

    /// The request it is; none where it takes several steps.
    pub(super) fn method(&self) -> Option<Method> {
        Some(match self.clone() {
            Control::Grow(n) => Method::PoolGrow { n },
            Control::Shrink(n) => Method::PoolShrink { n },
            Control::RestartPool => Method::PoolRestart,
            Control::Autoscale { max, min } => Method::Autoscale { max, min },
            Control::AddQueue(queue) => Method::AddConsumer { queue },
            Control::CancelQueue(queue) => Method::CancelConsumer { queue },
            Control::RateLimit { task, rate } => Method::RateLimit { task, rate },
            Control::TimeLimit { task, soft, hard } => Method::TimeLimit { task, soft, hard },
            Control::Shutdown => Method::Shutdown,
            Control::Ping => Method::Ping,
            Control::Events(true) => Method::EnableEvents,
            Control::Events(false) => Method::DisableEvents,
            Control::Drain | Control::RollingRestart | Control::Total(_) => return None,
        })
    }

    /// What a worker that says it did it leaves unsaid. It reads a task's limits when it makes its strategies, and makes
    /// them when it connects and when its pool restarts (Celery 5.7.0, `worker/request.py`, `create_request_cls`).
    pub(super) fn unsaid(&self, said: &str) -> Option<&'static str> {
        match self {
            // It looks for a group that one started with -E does not have (`worker/control.py`, `disable_events`).
            Control::Events(false) if said.contains("already") => Some("one started with -E goes on sending them"),
            Control::TimeLimit { .. } => Some("takes effect after restart-pool"),
            Control::RestartPool => Some("a process that is idle is replaced after its next task"),
            _ => None,
        }
    }

    /// Why a worker can't do it, if that is known: it is left out where others can.
    pub fn refusal(&self, worker: &Worker) -> Option<String> {
        match self {
            Control::Grow(_) | Control::Shrink(_) | Control::Total(_) => fixed_size(worker),
            _ => None,
        }
    }

    /// What a person is asked. Every worker is named: a group's as well.
    pub(super) fn preview(&self, workers: &[String], model: &Model) -> Preview {
        // Nobody named is everybody: whoever is online is named to the person.
        let online =
            || model.workers().into_iter().filter(|(_, w)| w.is_online(model.now())).map(|(n, _)| n.to_owned());
        let everybody: Vec<String> = if workers.is_empty() { online().collect() } else { Vec::new() };
        let all = workers.is_empty();
        let workers = if all { &everybody } else { workers };
        let refusal = |name: &&String| model.worker(name).and_then(|w| self.refusal(w));
        let can: Vec<&String> = workers.iter().filter(|name| refusal(name).is_none()).collect();
        // Where nobody can, it is sent all the same: the workers say why.
        let able: Vec<&String> = if can.is_empty() { workers.iter().collect() } else { can };
        let mut lines = if able.len() > NAMED {
            crate::text::pack(able.iter().map(|name| name.as_str()), WIDTH)
        } else {
            able.iter().map(|name| self.about(name, model.worker(name), model.now())).collect()
        };
        if able.len() < workers.len() {
            lines.push(String::new());
            lines.push("Left out:".into());
            let left = workers.iter().filter_map(|name| Some(format!("  {name}  {}", refusal(&name)?)));
            lines.extend(left);
        }
        let notes = self.notes(workers, model);
        if !notes.is_empty() && !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(notes);
        let whose = match (all, able.len()) {
            (true, 0) => "all workers".to_owned(),
            (true, 1) => "the one online worker".to_owned(),
            (true, n) => format!("all {}", plural(n, "online worker")),
            (false, n) => plural(n, "worker"),
        };
        Preview { title: self.question(&whose), lines }
    }

    fn question(&self, whose: &str) -> String {
        match self {
            Control::Grow(n) => format!("Add {} to {whose}?", plural(*n, "process")),
            Control::Shrink(n) => format!("Take {} from {whose}?", plural(*n, "process")),
            Control::RestartPool => format!("Restart the pool of {whose}?"),
            Control::Autoscale { max, min } => format!("Let {whose} scale between {min} and {max} processes?"),
            Control::AddQueue(queue) => format!("Let {whose} consume {queue}?"),
            Control::CancelQueue(queue) => format!("Let {whose} no longer consume {queue}?"),
            Control::RateLimit { task, rate } if lifts(rate) => format!("Lift the rate limit of {task} on {whose}?"),
            Control::RateLimit { task, rate } => format!("Limit {task} to {rate} on {whose}?"),
            Control::TimeLimit { task, .. } => format!("Set the time limits of {task} on {whose}?"),
            Control::Shutdown => format!("Shut down {whose}?"),
            Control::Drain => format!("Drain {whose}, then shut down?"),
            Control::RollingRestart => format!("Restart {whose}, one after the other?"),
            Control::Total(n) => format!("Let {whose} have {} together?", plural(*n, "process")),
            Control::Ping => format!("Ping {whose}?"),
            Control::Events(on) => format!("Turn {} task events of {whose}?", if *on { "on" } else { "off" }),
        }
    }

    /// One worker, with what matters of it for this order.
    fn about(&self, name: &str, worker: Option<&Worker>, now: Stamp) -> String {
        let Some(worker) = worker else { return name.to_owned() };
        let pool = worker.inspected.stats.as_ref().map(|s| &s.pool);
        let fact = match self {
            Control::Grow(_) | Control::Shrink(_) | Control::Total(_) => match worker.pool_size() {
                Some(size) => format!("{} now", plural(size, "process")),
                None => "number of processes not known".into(),
            },
            Control::Autoscale { .. } => match pool.map(|p| p.autoscale) {
                Some(Some((max, min))) => format!("between {min} and {max} now"),
                Some(None) => "does not scale by itself: it will refuse".into(),
                None => String::new(),
            },
            Control::AddQueue(_) | Control::CancelQueue(_) => match &worker.inspected.queues {
                Some(queues) if queues.is_empty() => "consumes nothing now".into(),
                Some(queues) => format!("consumes {}", queues.join(" ")),
                None => "its queues are not known".into(),
            },
            Control::Shutdown | Control::RestartPool | Control::Drain | Control::RollingRestart => work_of(worker, now),
            _ => String::new(),
        };
        if fact.is_empty() { name.to_owned() } else { format!("{name}  {fact}") }
    }

    /// What it means, and what it doesn't reach.
    fn notes(&self, workers: &[String], model: &Model) -> Vec<String> {
        let until_restart = "Holds until the worker restarts.".to_owned();
        match self {
            Control::Shrink(_) => vec!["Only idle processes go, and one always stays.".into()],
            Control::Shutdown => {
                let running: u64 =
                    workers.iter().filter_map(|name| model.worker(name)?.running_lately(model.now())).sum();
                let first = (workers.len() > NAMED && running > 0)
                    .then(|| format!("They finish {} first.", plural(running, "running task")));
                first.into_iter().chain(["Nothing here can start them again.".to_owned()]).collect()
            }
            Control::Drain => {
                let mut notes = vec![DRAINS.to_owned()];
                notes.extend(self.nobody_left(workers, model));
                notes.extend([gives_up(), "Nothing here can start them again.".to_owned()]);
                notes
            }
            Control::RollingRestart => vec![
                format!("One at a time. {DRAINS}"),
                "Then its replacement is waited for: the same name again, or a new worker of its group.".into(),
                "Whatever started them has to do so again (systemd, Kubernetes): nothing here can.".into(),
                gives_up(),
            ],
            Control::Total(_) => vec![
                "The smallest pools grow, the largest shrink by idle processes; each keeps one.".into(),
                until_restart,
            ],
            Control::RestartPool => vec![
                "Each process ends after the task it runs, an idle one after its next; a new one takes its place."
                    .into(),
                "Needs worker_pool_restarts; a pool of threads has nothing to restart.".into(),
            ],
            Control::AddQueue(_) => {
                vec!["It is declared as a direct queue if it does not exist.".into(), until_restart]
            }
            Control::CancelQueue(queue) => {
                let left = consumers_but(queue, workers, model);
                let waiting = model.queue(queue).map_or(0, |q| q.depth.ready);
                let mut notes = vec![match (left, waiting) {
                    (0, 0) => "No other online worker consumes it.".into(),
                    (0, n) => format!("No other online worker consumes it: {} would stay there.", plural(n, "message")),
                    (n, _) => format!(
                        "{} {} it further.",
                        plural(n, "other worker"),
                        if n == 1 { "consumes" } else { "consume" }
                    ),
                }];
                notes.push("What they took from it already they still run.".into());
                notes.push(until_restart);
                notes
            }
            Control::RateLimit { .. } => {
                vec!["The limit is each worker's own, not all workers' together.".into(), until_restart]
            }
            Control::TimeLimit { soft, hard, .. } => {
                let limit = |secs: &Option<f64>| secs.map_or_else(|| "none".into(), crate::human::seconds);
                vec![
                    format!("soft {}: the task gets SoftTimeLimitExceeded", limit(soft)),
                    format!("hard {}: its process is killed", limit(hard)),
                    "Takes effect after restart-pool, or when the worker connects to the broker anew.".into(),
                    "Tasks that run already keep theirs. Only prefork pools enforce them.".into(),
                    until_restart,
                ]
            }
            Control::Grow(_) | Control::Autoscale { .. } | Control::Events(true) => vec![until_restart],
            // What has to be known of it stands in `caveats`.
            Control::Events(false) => Vec::new(),
            Control::Ping => Vec::new(),
        }
    }

    /// The queues that nobody would consume any more.
    fn nobody_left(&self, workers: &[String], model: &Model) -> Option<String> {
        let queues = workers.iter().filter_map(|name| model.worker(name)?.inspected.queues.as_ref()).flatten();
        let queues: std::collections::BTreeSet<&String> = queues.collect();
        let left: Vec<&str> =
            queues.into_iter().filter(|queue| consumers_but(queue, workers, model) == 0).map(String::as_str).collect();
        (!left.is_empty()).then(|| format!("No other online worker consumes {}.", left.join(" ")))
    }

    /// Its part of the command line.
    pub(super) fn words(&self, workers: &[String]) -> String {
        let whom = if workers.is_empty() { "--all".to_owned() } else { join(workers.iter().map(|w| quote(w))) };
        let arguments = self.arguments().iter().map(|a| format!(" {}", quote(a))).collect::<String>();
        format!("flower-tui worker {whom} {}{arguments}", self.verb())
    }
}

const DRAINS: &str = "Each consumes no more, finishes what it took, and is shut down.";

fn gives_up() -> String {
    let limit = crate::human::exact(super::course::LIMIT.as_secs_f64());
    format!("One that is not idle within {limit} consumes its queues again, and it halts there.")
}

/// Why a worker's pool can't be told how large to be, if it can't.
pub fn fixed_size(worker: &Worker) -> Option<String> {
    let pool = &worker.inspected.stats.as_ref()?.pool;
    match pool.kind.as_str() {
        _ if pool.autoscale.is_some() => Some("scales by itself".into()),
        kind @ ("threads" | "solo") => Some(format!("a {kind} pool can't change its size")),
        _ => None,
    }
}

/// What a worker does at the moment, as far as it told lately.
fn work_of(worker: &Worker, now: Stamp) -> String {
    if worker.said_offline {
        return "said goodbye already".into();
    }
    match worker.running_lately(now) {
        _ if !worker.is_online(now) => {
            let silent = crate::human::span(now.since(worker.last_seen).as_secs());
            format!("silent for {silent}: what it runs is not known")
        }
        None => "what it runs is not known".into(),
        Some(0) => "runs nothing".into(),
        Some(n) => format!("finishes {} first", plural(n, "running task")),
    }
}

fn sized(verb: &str, n: u32) -> Control {
    if verb == "grow" { Control::Grow(n) } else { Control::Shrink(n) }
}

fn name(text: &str, what: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err(format!("{what} has to be named")),
        text => Ok(text.to_owned()),
    }
}

/// Reads both ends of an autoscaler's range.
pub fn range_of(max: &str, min: &str) -> Result<Control, String> {
    let number = |text: &str| text.trim().parse::<u32>().ok().filter(|n| (1..=9_999).contains(n));
    match (number(max), number(min)) {
        (Some(max), Some(min)) if min > max => Err(format!("the most ({max}) is below the least ({min})")),
        (Some(max), Some(min)) => Ok(Control::Autoscale { max, min }),
        _ => Err("takes two numbers from 1 to 9999".into()),
    }
}

/// Reads time limits: `30`, `30s`, `5m`; nothing, `none` or zero is no limit.
pub fn limits_of(task: &str, soft: &str, hard: &str) -> Result<Control, String> {
    let (soft, hard) = (check_limit(soft)?, check_limit(hard)?);
    match (soft, hard) {
        (Some(s), Some(h)) if s >= h => Err("the soft limit has to be shorter than the hard one".into()),
        _ => Ok(Control::TimeLimit { task: name(task, "a task")?, soft, hard }),
    }
}

/// Reads one time limit, in seconds.
pub fn check_limit(text: &str) -> Result<Option<f64>, String> {
    match text.trim() {
        "" | "-" | "none" => Ok(None),
        text => match crate::human::parse_seconds(text) {
            Some(secs) => Ok((secs > 0.0).then_some(secs)),
            None => Err("takes a time such as 30s or 5m, or none".into()),
        },
    }
}

/// Says what is wrong with a rate, in Celery's notation (5.7.0, `utils/time.py`, `rate`).
pub fn check_rate(text: &str) -> Result<(), String> {
    let (number, unit) = text.trim().split_once('/').unwrap_or((text.trim(), "s"));
    match number.parse::<f64>() {
        Ok(n) if n.is_finite() && n >= 0.0 && matches!(unit, "s" | "m" | "h") => Ok(()),
        _ => Err("takes a rate such as 10/s, 100/m or 5/h; 0 lifts it".into()),
    }
}

fn lifts(rate: &str) -> bool {
    rate.trim().parse::<f64>() == Ok(0.0)
}

fn consumers_but(queue: &str, workers: &[String], model: &Model) -> usize {
    let consumes = |w: &Worker| w.inspected.queues.as_ref().is_some_and(|q| q.iter().any(|q| q == queue));
    let others = model.workers().into_iter().filter(|(name, _)| !workers.iter().any(|w| w == name));
    others.filter(|(_, w)| w.is_online(model.now()) && consumes(w)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_reads_back_as_it_is_written() {
        let orders = [
            Control::Grow(2),
            Control::Shrink(1),
            Control::RestartPool,
            Control::Autoscale { max: 10, min: 3 },
            Control::AddQueue("a b".into()),
            Control::CancelQueue("q".into()),
            Control::RateLimit { task: "t".into(), rate: "10/m".into() },
            Control::TimeLimit { task: "t".into(), soft: Some(1.5), hard: None },
            Control::Shutdown,
            Control::Drain,
            Control::RollingRestart,
            Control::Total(24),
            Control::Ping,
            Control::Events(true),
            Control::Events(false),
        ];
        for order in &orders {
            assert_eq!(Control::parse(order.verb(), &order.arguments()).as_ref(), Ok(order));
            assert!(VERBS.contains(&order.verb()));
        }
        assert_eq!(orders.len(), VERBS.len());
        assert_eq!(orders[4].words(&["w@h".into()]), "flower-tui worker w@h add-queue 'a b'");
    }

    #[test]
    fn what_workers_would_refuse_is_not_asked_of_them() {
        let parse = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            Control::parse(&words[0], &words[1..])
        };
        for line in [
            "grow 0",
            "grow x",
            "ping 3",
            "autoscale 3",
            "autoscale 1,3",
            "autoscale 3,0",
            "add-queue",
            "rate-limit t",
            "rate-limit t fast",
            "rate-limit t 10/d",
            "time-limit t 1",
            "time-limit t 9 5",
            "dance",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert_eq!(parse("grow"), Ok(Control::Grow(1)));
        assert_eq!(
            parse("time-limit t 30s 5m"),
            Ok(Control::TimeLimit { task: "t".into(), soft: Some(30.0), hard: Some(300.0) })
        );
    }
}
