//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::sim;

const EXITS: &str = "Exit status: 0 done, 1 the thing asked for is not so, 2 bad usage, 3 the broker can't be reached, \
                     4 a command was sent and not confirmed.";

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
    /// List the workers
    Workers(Format),
    /// Everything known of a worker; or make workers do something
    #[command(after_help = WORKER_HELP)]
    Worker(WorkerArgs),
    /// List the queues
    Queues(Format),
    /// One queue: depth, consumers, and what waits next in it (nothing is consumed)
    Queue(QueueArgs),
    /// Tasks of the history; where there is none, those seen while listening; and those workers hold
    Tasks(TasksArgs),
    /// One task: where it is and what is known of it
    Task(TaskArgs),
    /// Tasks with a text anywhere: memory, history, waiting messages, unacked, workers
    Find(FindArgs),
    /// Events as JSON lines, until stopped
    Events(EventsArgs),
    /// Revoke tasks by id
    Revoke(RevokeArgs),
    /// Send tasks again with the same arguments
    Retry(RetryArgs),
    /// Play a recorded event stream (made by `events --raw`, also compressed with gzip or zstd)
    Replay(ReplayArgs),
    /// Store everything that happens in the history file, until stopped; for systemd
    #[command(after_help = RECORD_HELP)]
    Record,
    /// The history file: look things up, write them out, keep it in order
    History(HistoryArgs),
    /// The settings: what is in force, a file to start from, where it is
    Config(ConfigArgs),
    /// Completions for a shell
    Completions { shell: clap_complete::Shell },
    /// The manual page
    Man,
}

const RECORD_HELP: &str = "\
Without --history the file is history.db in the state folder. It is written every quarter of a second; one process writes
at a time, a second one waits for the first to end. SIGTERM and SIGINT write the rest and end it, SIGHUP opens the log
file anew. Under systemd it tells when it is ready, and that it is alive (Type=notify, WatchdogSec).";

const WORKER_HELP: &str = "\
Actions, behind the names:
  grow [N], shrink [N]         add processes to the pool, take idle ones away
  autoscale MAX,MIN            the range of a pool that scales by itself
  restart-pool                 new processes (needs worker_pool_restarts)
  add-queue Q, cancel-queue Q  begin and end to consume a queue
  rate-limit TASK RATE         such as 10/s, 100/m, 5/h; 0 lifts it
  time-limit TASK SOFT HARD    such as 30s 1m; none is no limit
  enable-events, disable-events, ping, shutdown
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
    /// One JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct QueueArgs {
    pub name: String,
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
    #[arg(required = true)]
    pub ids: Vec<String>,
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

#[derive(Args, Debug)]
pub struct RetryArgs {
    #[arg(required = true)]
    pub ids: Vec<String>,
    /// Show what would be sent
    #[arg(long)]
    pub dry_run: bool,
    /// Queue to send to, instead of the one it came from
    #[arg(long, value_name = "NAME")]
    pub queue: Option<String>,
    /// How long to listen for the tasks' events (2s; not at all where the history knows them)
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub listen: Option<f64>,
    /// One JSON document
    #[arg(long)]
    pub json: bool,
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

fn duration(text: &str) -> Result<f64, String> {
    crate::human::parse_seconds(text).ok_or_else(|| "takes a time such as 500ms, 2s or 5m".into())
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
