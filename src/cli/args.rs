//! What can be typed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::flower::{Kind, OPTIONS};
use crate::sim;

const EXITS: &str = "Exit status: 0 done, 1 the thing asked for is not so, 2 bad usage, 3 the broker can't be reached, \
                     4 a command was sent and not confirmed. Of `check`: see its help.";

/// A terminal monitor and control room for Celery clusters. Without a command it opens the screen.
#[derive(Parser, Debug)]
#[command(name = "flower-tui", version, after_help = EXITS, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options of every command.
#[derive(Args, Debug, Clone, Default)]
pub struct Global {
    /// Broker URL: redis://:password@host:6379/0, rediss:// for TLS, sentinel://h1;sentinel://h2, unix:///path; amqp://user:password@host:5672/vhost, amqps:// [env: FLOWER_TUI_BROKER, CELERY_BROKER_URL]
    #[arg(short, long, global = true, value_name = "URL")]
    pub broker: Option<String>,
    /// Where results are, as Celery's result_backend says it: redis://…, db+sqlite:///path, db+postgresql://user:password@host/name, db+mysql://…, django-db+postgresql://…; else the broker's Redis is looked into [env: FLOWER_TUI_RESULT_BACKEND, CELERY_RESULT_BACKEND]
    #[arg(long, global = true, value_name = "URL")]
    pub result_backend: Option<String>,
    /// Read the broker URL from a file, or from standard input (-)
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "broker")]
    pub broker_file: Option<String>,
    /// RabbitMQ's management API: http://user:password@host:15672/api/; without it the broker's host and user are tried. It tells unacked messages, rates, memory and alarms, and lets messages be looked at [env: FLOWER_TUI_BROKER_API, FLOWER_BROKER_API]
    #[arg(long, global = true, value_name = "URL")]
    pub broker_api: Option<String>,
    /// Profile of the config file [env: FLOWER_TUI_PROFILE]
    #[arg(short = 'P', long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// Config file [env: FLOWER_TUI_CONFIG]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The history file: what happens is recorded in it, and found again [env: FLOWER_TUI_HISTORY]
    #[arg(long, global = true, value_name = "FILE")]
    pub history: Option<PathBuf>,
    /// Send nothing that changes the cluster [env: FLOWER_TUI_READ_ONLY]
    #[arg(long, global = true)]
    pub read_only: bool,
    /// Tasks kept in memory at most (100000) [env: FLOWER_TUI_MAX_TASKS, FLOWER_MAX_TASKS]
    #[arg(long, global = true, value_name = "N")]
    pub max_tasks: Option<u64>,
    /// Memory for tasks at most (256M) [env: FLOWER_TUI_MAX_MEMORY]
    #[arg(long, global = true, value_name = "SIZE")]
    pub max_memory: Option<String>,
    /// Log to a file [env: FLOWER_TUI_LOG_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub log_file: Option<String>,
    /// Log more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Colours: auto, always, never [env: FLOWER_TUI_COLOR, NO_COLOR]
    #[arg(long, global = true, value_name = "WHEN")]
    pub color: Option<String>,
    /// Frames a second at most, 1 to 60 (30) [env: FLOWER_TUI_FPS]
    #[arg(long, global = true, value_name = "N")]
    pub fps: Option<u32>,
    /// Only ASCII characters [env: FLOWER_TUI_ASCII]
    #[arg(long, global = true)]
    pub ascii: bool,
    /// Write no audit log
    #[arg(long, global = true)]
    pub no_audit: bool,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// The screen on a simulated cluster; needs no broker
    Demo(Demo),
    /// One screen of text: broker, workers, queues, rates
    Status(Format),
    /// The monitoring checklist against the thresholds of [alerts]; exit status as of monitoring plugins
    #[command(after_help = CHECK_HELP)]
    Check(CheckArgs),
    /// What works, what is unsafe, and what to do about it: connection, permissions, events, passwords, TLS, clocks
    #[command(after_help = DOCTOR_HELP)]
    Doctor(DoctorArgs),
    /// List the workers
    Workers(Format),
    /// Everything known of a worker; or make workers do something
    #[command(after_help = WORKER_HELP)]
    Worker(WorkerArgs),
    /// List the queues
    Queues(Format),
    /// One queue: depth, consumers, and what waits next in it (nothing is consumed); or change what waits in it
    #[command(after_help = QUEUE_HELP)]
    Queue(QueueArgs),
    /// Take back what was done with a queue: messages deleted, purged or set aside wait again
    Undo(UndoArgs),
    /// Tasks of the history; where there is none, those seen while listening; and those workers hold
    Tasks(TasksArgs),
    /// One task: where it is and what is known of it
    Task(TaskArgs),
    /// What runs by the clock: RedBeat's entries, and periods learnt from arrivals (with a history, of its last hour)
    Schedule(ScheduleArgs),
    /// What was changed at runtime and a restart forgets (queues, limits, pool sizes), from the audit log: who has it, who
    /// started since without it
    Overrides(OverridesArgs),
    /// Tasks with a text anywhere: memory, history, waiting messages, unacked, workers
    Find(FindArgs),
    /// Events as JSON lines, until stopped
    Events(EventsArgs),
    /// Revoke tasks by id
    Revoke(RevokeArgs),
    /// Send tasks again with the same arguments
    Retry(RetryArgs),
    /// Send a task
    Send(SendArgs),
    /// Bulk actions: list them, stop one, go on with one that was broken off
    Bulk(BulkArgs),
    /// Play a recorded event stream (made by `events --raw`, also compressed with gzip or zstd)
    Replay(ReplayArgs),
    /// Store everything that happens in the history file, until stopped; for systemd
    #[command(after_help = RECORD_HELP)]
    Record,
    /// Flower's HTTP API, its metrics, and the screen in a browser
    #[command(alias = "flower", after_help = SERVE_HELP)]
    Serve(ServeArgs),
    /// The history file: look things up, write them out, keep it in order
    History(HistoryArgs),
    /// Give this moment a name, in the history: filters take it behind since: and until:, charts and reports show it
    Mark {
        #[arg(required = true, value_name = "TEXT")]
        text: Vec<String>,
    },
    /// An incident as Markdown, from the history: marks, peaks, failures with their first tracebacks, commands, what is open
    Report(ReportArgs),
    /// The settings: what is in force, a file to start from, where it is
    Config(ConfigArgs),
    /// Publish made-up events, for measuring
    #[command(hide = true)]
    BenchFeed(super::bench_feed::BenchFeed),
    /// Completions for a shell
    Completions { shell: clap_complete::Shell },
    /// The manual page
    Man,
}

const RECORD_HELP: &str = "\
Without --history the file is history.db in the state folder. It is written every quarter of a second; one process writes
at a time, a second one waits for the first to end. SIGTERM and SIGINT write the rest and end it, SIGHUP opens the log
file anew. Under systemd it tells when it is ready, and that it is alive (Type=notify, WatchdogSec).";

const CHECK_HELP: &str = "\
With --history the last quarter of an hour of it is judged, without one what is heard meanwhile. Exit status: 0 ok,
1 warning, 2 critical (also where the broker can't be reached), 3 not known, or bad usage. What is not known never hides
what is known to be wrong. Into a pipe the first line ends in performance data.";

const DOCTOR_HELP: &str = "\
Nothing is changed. It tries to log in without the password, and on RabbitMQ as guest: the broker's log will show that.
Exit status: 0 nothing to do, 1 something is, 2 bad usage, 3 the broker can't be reached.";

const SERVE_HELP: &str = "\
A start script of Flower's goes on working with its first word changed: options are written with - or _, may be set as
FLOWER_NAME in the environment, in flowerconfig.py (simple assignments), or in [serve] of the config file. Those of
Flower's that are of no use here are accepted and named. docs/flower.md tells what differs.
SIGTERM and SIGINT end it, SIGHUP opens the log file and reads users, tokens and certificates anew.";

/// The options of `serve`, from the table they share with the environment and the config files.
#[derive(Debug, Default)]
pub struct ServeArgs {
    /// What was said, by name.
    pub said: BTreeMap<String, String>,
    /// Print a new token and the line that lets it in.
    pub new_token: Option<String>,
    /// Read a password from standard input and print its hash.
    pub hash_password: bool,
}

impl Args for ServeArgs {
    fn augment_args(mut command: clap::Command) -> clap::Command {
        for opt in OPTIONS.iter().filter(|opt| opt.kind != Kind::Global) {
            let arg = clap::Arg::new(opt.name).long(opt.name.replace('_', "-")).help(opt.help).value_name("VALUE");
            command = command.arg(match opt.kind {
                Kind::Flag => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
                Kind::Maybe => arg.num_args(0..=1).require_equals(true).default_missing_value(""),
                Kind::Unused => arg.num_args(0..=1).require_equals(true).default_missing_value("true").hide(true),
                _ => arg.num_args(1),
            });
        }
        let token = clap::Arg::new("new_token").long("new-token").value_name("NAME:ROLE[:DAY]");
        let hash = clap::Arg::new("hash_password").long("hash-password").action(clap::ArgAction::SetTrue);
        command
            .arg(
                token.help(
                    "Print a new token, and the line for the file of tokens; a role is viewer, operator or admin",
                ),
            )
            .arg(hash.help("Read a password from standard input, and print its hash for the file of users"))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for ServeArgs {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let said = |name: &str| matches.get_one::<String>(name).cloned();
        let options = OPTIONS.iter().filter(|opt| opt.kind != Kind::Global);
        Ok(Self {
            said: options.filter_map(|opt| Some((opt.name.to_owned(), said(opt.name)?))).collect(),
            new_token: said("new_token"),
            hash_password: matches.get_flag("hash_password"),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

const QUEUE_HELP: &str = "\
Actions, behind the name:
  purge                        delete everything that waits
  delete WHICH                 delete messages
  move WHICH TO                move messages to another queue, behind what waits there
  rename WHICH TASK            let messages be calls of another task, as where a task got a new name
  aside [NAME]                 give all that waits another name, which no worker takes from
  dump FILE [--take]           write all that waits to a file; with --take, take it out of the queue
  load FILE                    put what a file holds into the queue, once
  hold, release                no worker consumes it; exactly those that did do so again
  requeue-unacked [WORKER]     give out again what workers that are gone had taken (Redis)
WHICH is ids, --filter FILTER, --group BY=VALUE (task, origin, priority, args[N], kwargs.NAME), or --all.
What is taken out is written down before, in the audit log; `flower-tui undo ROW` puts it back.
purge, and delete without ids, ask first; --yes answers.";

const WORKER_HELP: &str = "\
Actions, behind the names:
  grow [N], shrink [N]         add processes to the pool, take idle ones away
  autoscale MAX,MIN            the range of a pool that scales by itself
  total N                      so many processes in all these pools together
  restart-pool                 new processes (needs worker_pool_restarts)
  add-queue Q, cancel-queue Q  begin and end to consume a queue
  rate-limit TASK RATE         such as 10/s, 100/m, 5/h; 0 lifts it
  time-limit TASK SOFT HARD    such as 30s 1m; none is no limit
  enable-events, disable-events, ping, shutdown
  drain                        consume no more, finish what it took, shut down
  rolling-restart              drain and shut down one after the other, each once the one before is replaced
Names may be globs such as 'celery@app-*'.";

#[derive(Args, Debug)]
pub struct Demo {
    /// The same seed makes the same cluster
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// What kind of day it has
    #[arg(long, value_enum, default_value_t)]
    pub scenario: sim::Scenario,
    /// Tasks of the quarter of an hour before the start
    #[arg(long, default_value_t = 12_000)]
    pub tasks: u32,
    /// New tasks a second
    #[arg(long, default_value_t = 14.0)]
    pub rate: f64,
    /// Number of workers
    #[arg(long, default_value_t = 5)]
    pub workers: u32,
}

impl Demo {
    pub fn options(&self) -> sim::Options {
        sim::Options {
            seed: self.seed,
            scenario: self.scenario,
            tasks: self.tasks,
            rate: if self.rate.is_finite() { self.rate.max(0.0) } else { 0.0 },
            workers: self.workers,
        }
    }
}

/// How a listing is printed.
#[derive(Args, Debug, Clone, Copy, Default)]
pub struct Format {
    /// One JSON document
    #[arg(long)]
    pub json: bool,
    /// A JSON document a line
    #[arg(long, conflicts_with = "json")]
    pub jsonl: bool,
    /// Comma-separated values
    #[arg(long, conflicts_with_all = ["json", "jsonl"])]
    pub csv: bool,
}

impl Format {
    /// Whether nothing but the rows may be printed.
    pub fn is_for_programs(self) -> bool {
        self.json || self.jsonl || self.csv
    }
}

#[derive(Args, Debug)]
pub struct CheckArgs {
    /// How long to listen (5s; 2s where there is a history)
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub listen: Option<f64>,
    /// Only these checks, separated by commas; whether the broker answers is always told
    #[arg(long, value_name = "CHECKS", value_delimiter = ',', value_parser = crate::ops::check::NAMES)]
    pub only: Vec<String>,
    /// One JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// How long to listen for events
    #[arg(long = "for", value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub listen: f64,
    /// One JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct WorkerArgs {
    /// Names or globs, then an action
    #[arg(value_name = "NAME… [ACTION [ARGUMENTS]]")]
    pub words: Vec<String>,
    /// Every worker
    #[arg(long)]
    pub all: bool,
    /// How long a worker may take to be gone after a shutdown
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub wait: f64,
    /// How long draining one worker may take, and waiting for its replacement; then all halts
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub limit: f64,
    /// One JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct UndoArgs {
    /// The command's row in the log, as `history audit` has it
    pub row: i64,
    /// One JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct ScheduleArgs {
    #[command(subcommand)]
    pub what: Option<ScheduleCommand>,
    /// How long to listen for arrivals first
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub listen: Option<f64>,
    /// One JSON document
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Subcommand, Debug)]
pub enum ScheduleCommand {
    /// Send the task of an entry once, now; its schedule stays as it is
    Run {
        name: String,
        /// Queue to send to, where its own is not known
        #[arg(long, value_name = "NAME")]
        queue: Option<String>,
    },
    /// Switch an entry of RedBeat on
    Enable { name: String },
    /// Switch an entry of RedBeat off
    Disable { name: String },
}

#[derive(Args, Debug)]
pub struct OverridesArgs {
    #[command(subcommand)]
    pub what: Option<OverridesCommand>,
    /// One JSON document
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Subcommand, Debug)]
pub enum OverridesCommand {
    /// Give the order again to those that lack it
    Apply { id: i64 },
    /// Give the contrary order to those that have it
    TakeBack { id: i64 },
}

#[derive(Args, Debug)]
pub struct ReportArgs {
    /// Where it begins: 2h, 13:30, 2026-11-24T13:30, or a mark
    #[arg(long, value_name = "TIME")]
    pub since: String,
    /// And where it ends; else now
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

#[derive(Args, Debug)]
pub struct QueueArgs {
    pub name: String,
    /// An action, and what it is for
    #[arg(value_name = "ACTION [ARGUMENTS]")]
    pub words: Vec<String>,
    /// Messages of tasks that a filter selects
    #[arg(long, value_name = "FILTER")]
    pub filter: Option<String>,
    /// Messages that have one thing in common
    #[arg(long, value_name = "BY=VALUE")]
    pub group: Option<String>,
    /// All that waits
    #[arg(long)]
    pub all: bool,
    /// With dump: take the messages out once they are in the file
    #[arg(long)]
    pub take: bool,
    /// Don't ask
    #[arg(long)]
    pub yes: bool,
    /// How many waiting messages to show, next in line first (10). On RabbitMQ that marks them as redelivered, and is done only when asked for
    #[arg(long, value_name = "N")]
    pub peek: Option<usize>,
    /// One JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct TasksArgs {
    /// A filter such as: state:failure task:billing.*
    pub filter: Vec<String>,
    /// How long to listen (2s; not at all where there is a history)
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub listen: Option<f64>,
    /// No more than so many of the history
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub limit: usize,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Args, Debug)]
pub struct TaskArgs {
    pub id: String,
    /// How long to listen (2s; not at all where the history knows it)
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub listen: Option<f64>,
    /// One JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct FindArgs {
    /// An id, a part of one, an argument's value, or kwarg=value. On RabbitMQ looking into queues marks messages as redelivered
    pub text: String,
    /// How long to listen (1s)
    #[arg(long = "for", value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub listen: f64,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Args, Debug)]
pub struct EventsArgs {
    /// The messages as they came, secrets and all, to be played again by `replay`
    #[arg(long)]
    pub raw: bool,
    /// End after so many
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// End after so long
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub listen: Option<f64>,
}

#[derive(Args, Debug)]
pub struct RevokeArgs {
    #[arg(required_unless_present = "filter")]
    pub ids: Vec<String>,
    /// Tasks that a filter selects and that have not ended, of the history and of those seen while listening
    #[arg(long, value_name = "FILTER", conflicts_with = "ids")]
    pub filter: Option<String>,
    /// So many a second, such as 500/s, many ids a message: a bulk action, which `bulk` can stop and resume; above 20 tasks
    /// it always is one
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub rate: Option<f64>,
    /// Don't ask
    #[arg(long)]
    pub yes: bool,
    /// End those that run already
    #[arg(long)]
    pub terminate: bool,
    /// Signal to end them with
    #[arg(long, default_value = "SIGTERM", requires = "terminate")]
    pub signal: String,
    /// One JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug, Default)]
pub struct RetryArgs {
    #[arg(required_unless_present = "filter")]
    pub ids: Vec<String>,
    /// Tasks that a filter selects, of the history and of those seen while listening
    #[arg(long, value_name = "FILTER", conflicts_with = "ids")]
    pub filter: Option<String>,
    /// Show what would be sent
    #[arg(long)]
    pub dry_run: bool,
    /// Queue to send to, instead of the one it came from
    #[arg(long, value_name = "NAME")]
    pub queue: Option<String>,
    /// Let them start only after so long
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "eta")]
    pub countdown: Option<f64>,
    /// Let them start only at this time: ISO 8601
    #[arg(long, value_name = "TIME")]
    pub eta: Option<String>,
    /// Send them under the ids they had
    #[arg(long)]
    pub same_id: bool,
    /// Arguments of the one task, where they are not known whole: JSON or Python literals
    #[arg(long, value_name = "LITERALS", allow_hyphen_values = true)]
    pub args: Option<String>,
    /// Its keyword arguments, likewise
    #[arg(long, value_name = "LITERALS")]
    pub kwargs: Option<String>,
    /// So many a second, such as 50/s: a bulk action, which `bulk` can stop and resume
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub rate: Option<f64>,
    /// So many go first, and what becomes of them is waited for (0; 5 above 20 tasks where a person can be asked)
    #[arg(long, value_name = "N")]
    pub canary: Option<usize>,
    /// How long to listen for the tasks' events (2s; not at all where the history knows them)
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub listen: Option<f64>,
    /// Don't ask
    #[arg(long)]
    pub yes: bool,
    /// One JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct SendArgs {
    /// The task's name; workers are asked whether they know it
    pub task: String,
    /// Positional arguments: JSON, or Python literals such as (1, 'a')
    #[arg(long, value_name = "LITERALS", default_value = "[]", allow_hyphen_values = true)]
    pub args: String,
    /// Keyword arguments: JSON, or Python literals such as {'a': 1}
    #[arg(long, value_name = "LITERALS", default_value = "{}")]
    pub kwargs: String,
    #[arg(long, value_name = "NAME", default_value = "celery")]
    pub queue: String,
    /// 0 to 9
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..10))]
    pub priority: u8,
    /// Let it start only at this time: ISO 8601
    #[arg(long, value_name = "TIME")]
    pub eta: Option<String>,
    /// Let it start only after so long
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "eta")]
    pub countdown: Option<f64>,
    /// Don't let it start after so long
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub expires: Option<f64>,
    /// Wait until it has ended, and print what it returned
    #[arg(long)]
    pub wait: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1m", requires = "wait")]
    pub timeout: f64,
    /// Send it though no worker that answers knows a task of that name
    #[arg(long)]
    pub unknown: bool,
    /// One JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct BulkArgs {
    #[command(subcommand)]
    pub what: BulkCommand,
}

#[derive(Subcommand, Debug)]
pub enum BulkCommand {
    /// Every bulk action, the latest first
    List {
        #[command(flatten)]
        format: Format,
    },
    /// One of them: each task, the id it went out under, and when
    Show {
        id: i64,
        #[command(flatten)]
        format: Format,
    },
    /// Go on with one that was broken off, or that waits for a person
    Resume {
        id: i64,
        /// Don't ask
        #[arg(long)]
        yes: bool,
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Stop one that is going, wherever it runs
    Stop { id: i64 },
}

#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// A recording made by `events --raw`, plain or compressed with gzip or zstd
    #[arg(required_unless_present = "from")]
    pub file: Option<PathBuf>,
    /// Play a stretch of the history instead
    #[arg(long, value_name = "history", value_parser = ["history"], conflicts_with = "file")]
    pub from: Option<String>,
    /// Where the stretch begins: 2h ago, 14:00, 2026-11-24T14:00, or a mark
    #[arg(long, value_name = "TIME", default_value = "1h", requires = "from")]
    pub since: String,
    /// And where it ends; else now
    #[arg(long, value_name = "TIME", requires = "from")]
    pub until: Option<String>,
    /// Apply everything at once and print the final state
    #[arg(long)]
    pub json: bool,
    /// How much faster than it happened
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
}

#[derive(Args, Debug)]
pub struct HistoryArgs {
    #[command(subcommand)]
    pub what: HistoryCommand,
}

#[derive(Subcommand, Debug)]
pub enum HistoryCommand {
    /// Tasks that a filter selects, the newest first
    Query {
        /// A filter such as: state:failure task:billing.* since:2026-11-24
        filter: Vec<String>,
        /// No more than so many
        #[arg(long, value_name = "N", default_value_t = 1_000)]
        limit: usize,
        #[command(flatten)]
        format: Format,
    },
    /// Write the tasks that a filter selects to a new file: CSV, or JSON lines where its name ends in .jsonl
    Export {
        file: PathBuf,
        /// A filter; without one all tasks
        filter: Vec<String>,
    },
    /// What is in the file: tasks by state, since when, and what takes how much room
    Stats {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Take away now what is too old to be kept; a recorder does so by itself
    Prune,
    /// A copy in another file, as of now; the recorder goes on meanwhile
    Backup { file: PathBuf },
    /// Read the whole file, and say whether it holds together
    Check {
        /// Make summaries and tables of ids anew first, of the tasks themselves
        #[arg(long)]
        mend: bool,
    },
    /// Commands that were given, the latest first: who, when, from where, to whom, and what came of it
    Audit {
        /// No more than so many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        #[command(flatten)]
        format: Format,
    },
    /// Add what another history file holds: of a recorder on another machine
    Merge {
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

#[derive(Args, Debug)]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub what: ConfigCommand,
}

#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// The settings in force, and where each came from
    Show {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Every action of the screen, with the keys it is on: for [ui.keys]
    Keys,
    /// Print a profile made of an application's own settings, to be put into the config file
    #[command(name = "from-celery", after_help = FROM_CELERY_HELP)]
    FromCelery(FromCelery),
    /// Write the annotated default file to where it is looked for
    Init,
    /// Where the config file is looked for
    Path,
}

const FROM_CELERY_HELP: &str = "\
  celery -A APP report | flower-tui config from-celery -
  celery -A APP inspect conf | flower-tui config from-celery -
  flower-tui -b redis://h/0 config from-celery        # asks a worker
Celery hides passwords and some other values: what it printed says where to fill them in.";

#[derive(Args, Debug)]
pub struct FromCelery {
    /// Output of `celery report` or `celery inspect conf`; - is standard input. Without it a worker is asked
    pub file: Option<String>,
    /// The worker to ask, instead of whichever answers first
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    pub worker: Option<String>,
    /// What to call the profile
    #[arg(long, value_name = "NAME", default_value = "celery")]
    pub name: String,
}

pub(super) fn duration(text: &str) -> Result<f64, String> {
    crate::human::parse_seconds(text).ok_or_else(|| "takes a time such as 500ms, 2s or 5m".into())
}

pub(super) fn rate(text: &str) -> Result<f64, String> {
    match text.strip_suffix("/s").unwrap_or(text).parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate >= 0.1 => Ok(rate),
        _ => Err("takes a rate such as 50/s, from 0.1/s on".into()),
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed.is_finite() && speed > 0.0 => Ok(speed),
        _ => Err("takes a number above zero".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
