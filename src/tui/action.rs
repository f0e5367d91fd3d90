//! The one table of actions: keys, help, hint line, row menu and documentation are all read from it.

use crate::ops::Risk;

/// Where an action is live. Views name the scopes that are live on them, the nearest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Scope {
    Global,
    List,
    /// Rows that have tasks of their own.
    HasTasks,
    /// Lists that can be written to a file.
    Exports,
    /// Lists that can be filtered.
    Filters,
    /// Lists whose rows can be marked.
    Marks,
    /// Rows that can be opened.
    Opens,
    Tasks,
    /// Tasks in a list.
    TaskList,
    /// Tasks of memory, where a history knows more.
    Recorded,
    History,
    Schedule,
    /// Lists whose chosen rows can be compared with the others.
    Compares,
    /// What was found by that.
    InCommon,
    Overrides,
    Workers,
    Monitor,
    Broker,
    /// Lists with an order of their own.
    Sorts,
    /// Screens of several panes.
    Panes,
    /// Lines that can be folded.
    Folds,
    /// A tree of tasks.
    Tree,
    /// Groups of failures.
    Failures,
    /// The log of commands.
    Log,
    /// A long text that scrolls.
    Text,
    Confirm,
    Choose,
    /// Choosing some of many, in an order.
    Pick,
    /// A field takes the typed characters.
    Field,
    /// Several fields below each other.
    Form,
    Welcome,
    /// What is shown is a recording. It is live wherever `Global` is, behind it.
    Replay,
}

impl Scope {
    /// Heading in help.
    pub fn title(self) -> &'static str {
        match self {
            Scope::Global => "everywhere",
            Scope::List => "lists",
            Scope::HasTasks => "their tasks",
            Scope::Exports => "to a file",
            Scope::Filters => "filter",
            Scope::Marks => "marks",
            Scope::Opens => "rows",
            Scope::Tasks => "tasks",
            Scope::TaskList => "the list of tasks",
            Scope::Recorded | Scope::History => "history",
            Scope::Compares | Scope::InCommon => "in common",
            Scope::Schedule => "schedule",
            Scope::Overrides => "overrides",
            Scope::Workers => "workers",
            Scope::Monitor => "monitor",
            Scope::Broker => "broker",
            Scope::Sorts => "order",
            Scope::Panes => "panes",
            Scope::Folds => "folding",
            Scope::Tree => "the tree",
            Scope::Failures => "failures",
            Scope::Log => "the log",
            Scope::Text => "this text",
            Scope::Confirm => "a question",
            Scope::Choose => "a menu",
            Scope::Pick => "choosing",
            Scope::Field => "a field",
            Scope::Form => "a form",
            Scope::Welcome => "no broker",
            Scope::Replay => "the recording",
        }
    }
}

/// A row of the table.
pub struct Row {
    pub action: Action,
    pub scope: Scope,
    /// Keys as they are written in help, such as `ctrl-r`, `Enter`, `g g`.
    pub keys: &'static [&'static str],
    pub risk: Risk,
    /// A word or two for the hint line; empty keeps it out of there.
    pub hint: &'static str,
    pub help: &'static str,
}

macro_rules! actions {
    ($($action:ident $scope:ident [$($key:literal)*] $risk:ident $hint:literal $help:literal)*) => {
        /// What a key can do.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub enum Action { $($action),* }

        /// Every action, in the order of help and hint line.
        pub const TABLE: &[Row] = &[$(Row {
            action: Action::$action, scope: Scope::$scope, keys: &[$($key),*], risk: Risk::$risk, hint: $hint, help: $help,
        }),*];
    };
}

actions! {
    TaskRetry     Tasks   ["r"]                      Sends    "retry"    "send it again with the same arguments"
    TaskRetryWith Tasks   []                         Sends    "retry with" "send it again with other arguments, to another queue, or later"
    TaskRevoke    Tasks   ["x"]                      Destroys "revoke"   "revoke: workers skip it when its turn comes"
    TaskTerminate Tasks   ["X"]                      Destroys "terminate" "revoke and terminate: choose the signal"
    WhereIs       Tasks   ["w"]                      Looks    "where"    "where is it? asks queues, unacked, workers and results (on RabbitMQ that marks waiting messages as redelivered)"
    Workflow      Tasks   ["W"]                      Looks    "workflow" "the workflow it belongs to, as a tree"

    PoolGrow      Workers ["+"]                      Changes  "grow"     "add processes to the pool"
    PoolShrink    Workers ["-"]                      Destroys "shrink"   "take processes from the pool"
    WorkerPing    Workers ["i"]                      Looks    "ping"     "ping"
    WorkerEvents  Workers ["E"]                      Changes  "events"   "turn task events on or off"
    WorkerQuit    Workers ["Q"]                      Destroys "shut down" "shut the worker down"
    QueueAdd      Workers ["a"]                      Changes  "add queue" "begin to consume a queue"
    QueueCancel   Workers ["d"]                      Changes  "cancel queue" "no longer consume a queue"
    PoolRestart   Workers ["R"]                      Changes  "restart"  "restart the pool: new processes"
    PoolAutoscale Workers ["A"]                      Changes  "autoscale" "set the range of a pool that scales by itself"
    WorkerDrain   Workers []                         Destroys "drain"    "drain: consume no more, finish what it took, shut down"
    WorkerRolling Workers []                         Destroys "rolling restart" "restart one after the other, each drained first and then replaced"
    PoolTotal     Workers []                         Destroys "total"    "so many processes in all these pools together"
    RateLimit     Workers []                         Changes  "rate limit" "limit how often a task may start"
    TimeLimit     Workers []                         Changes  "time limits" "limit how long a task may run"

    WindowShorter Monitor ["<"]                      Looks    "shorter"  "a shorter window of time"
    WindowLonger  Monitor [">"]                      Looks    "longer"   "a longer window of time"
    CursorEarlier Monitor ["{"]                      Looks    "read"     "read the values at an earlier time"
    CursorLater   Monitor ["}"]                      Looks    ""         "read the values at a later time"
    Zoom          Monitor ["z"]                      Looks    "zoom"     "a shorter window around the cursor"
    OnlyThis      Monitor ["o"]                      Looks    "only this" "only the chosen task, or all again"

    GroupRetry    Failures ["r"]                     Sends    "retry"    "send the open tasks of this group again"
    GroupTrace    Failures ["t"]                     Looks    "traceback" "the whole traceback of the latest"

    GroupBy       Broker  ["o"]                      Looks    "group"    "group what waits: by task, origin, priority, age"
    MessageDelete Broker  ["D"]                      Destroys "delete"   "delete waiting messages: the marked ones, the one chosen, or a group"
    MessageMove   Broker  ["M"]                      Changes  "move"     "move them to another queue"
    MessageRename Broker  []                         Changes  "rename"   "let them be calls of another task: where a task got a new name"
    QueuePurge    Broker  ["P"]                      Destroys "purge"    "empty the queue: set it aside, into a file, or destroy it"
    QueueHold     Broker  ["H"]                      Changes  "hold"     "hold the queue: no worker consumes it; or release it"
    UnackedBack   Broker  ["U"]                      Sends    "put back" "give out again what workers that are gone had taken; or put back what lies aside"
    LookInside    Broker  ["i"]                      Changes  ""         "look into the queue, where that leaves a mark on its messages"

    ApplyAgain    Overrides ["a"]                    Changes  "apply again" "give the order again to those that lack it"
    TakeBack      Overrides ["d"]                    Changes  "take back" "give the contrary order to those that have it"

    EntryRun      Schedule ["r"]                     Sends    "run now"  "send its task once, now"
    EntrySwitch   Schedule ["E"]                     Changes  "on/off"   "switch an entry of RedBeat on or off"

    SpanEarlier   History ["{"]                      Looks    "span"     "choose a span of time in the chart, further back"
    SpanLater     History ["}"]                      Looks    ""         "the chosen span, further on"
    SpanShorter   History ["<"]                      Looks    ""         "the chosen span, shorter"
    SpanLonger    History [">"]                      Looks    ""         "the chosen span, longer"
    Compare       History ["="]                      Looks    "compare"  "compare this span with an earlier one: what got slower, what fails more"

    EventsOn      TaskList  ["E"]                      Changes  ""         "turn task events on at every worker"

    Down          List    ["j" "Down"]               Looks    ""         "next row"
    Up            List    ["k" "Up"]                 Looks    ""         "previous row"
    PageDown      List    ["ctrl-d" "PageDown"]      Looks    ""         "half a page down"
    PageUp        List    ["ctrl-u" "PageUp"]        Looks    ""         "half a page up"
    Top           List    ["g g" "Home"]             Looks    ""         "first row"
    Bottom        List    ["G" "End"]                Looks    ""         "last row"
    Open          Opens   ["Enter"]                  Looks    "open"     "open"
    TheirTasks    HasTasks ["t"]                    Looks    "tasks"    "its tasks, in the list of tasks"
    Export        Exports ["e"]                      Looks    "export"   "write what is listed to a file: CSV or JSON lines"
    Filter        Filters ["/"]                      Looks    "filter"   "filter the list"
    Mark          Marks   ["Space"]                  Looks    "mark"     "mark the row and go on"
    MarkRange     Marks   ["v"]                      Looks    ""         "mark from the last mark to here"
    MarkAll       Marks   ["*"]                      Looks    ""         "mark all that the filter selects"
    UnmarkAll     Marks   ["u"]                      Looks    ""         "take all marks off"
    Sort          Sorts   ["s"]                      Looks    "sort"     "choose what to sort by"
    Reverse       Sorts   ["S"]                      Looks    ""         "sort the other way round"
    Columns       TaskList ["c"]                     Looks    ""         "choose and order the columns"
    ScrollLeft    TaskList ["h" "Left"]              Looks    ""         "columns further to the left"
    ScrollRight   TaskList ["l" "Right"]             Looks    ""         "columns further to the right"
    InCommon      Compares ["%"]                     Looks    "in common" "what do these have in common, and the others not?"
    OnlyWith      InCommon ["Enter"]                 Looks    "filter"   "only tasks with this: the line is added to the filter"
    OnlyWithout   InCommon ["-"]                     Looks    "exclude"  "only tasks without this"
    Follow        TaskList ["f"]                      Looks    "follow"   "follow new rows from the top"
    Menu          List    ["."]                      Looks    "menu"     "everything that can be done with this row"
    AskHistory    Recorded ["g h"]                   Looks    ""         "ask the history too: the same filter, as far back as is recorded"

    ScrollDown    Text    ["j" "Down"]               Looks    "down"     "a line down"
    ScrollUp      Text    ["k" "Up"]                 Looks    "up"       "a line up"
    ScrollPageDown Text   ["ctrl-d" "PageDown" "Space"] Looks ""         "half a page down"
    ScrollPageUp  Text    ["ctrl-u" "PageUp"]        Looks    ""         "half a page up"
    ScrollTop     Text    ["g g" "Home"]             Looks    ""         "to the beginning"
    ScrollBottom  Text    ["G" "End"]                Looks    ""         "to the end"
    Search        Text    ["/"]                      Looks    "search"   "search in this text"
    SearchNext    Text    ["n"]                      Looks    ""         "next match"
    SearchBefore  Text    ["N"]                      Looks    ""         "match before"

    NextPane      Panes   ["]" "Tab"]                Looks    "pane"     "next pane"
    PreviousPane  Panes   ["[" "BackTab"]            Looks    ""         "previous pane"

    Fold          Folds   ["Enter" "Space"]          Looks    "fold"     "fold or unfold what is under the cursor"
    TreeFold      Tree    ["Space"]                  Looks    "fold"     "fold or unfold what it called"
    FoldAll       Folds   ["z"]                      Looks    ""         "fold or unfold everything"

    Yes           Confirm ["y"]                      Destroys "yes"      "do it"
    No            Confirm ["n" "Enter" "Esc" "q"]    Looks    "no"       "don't"

    ConfirmDown   Confirm ["Down"]                   Looks    ""         "what is further down"
    ConfirmUp     Confirm ["Up"]                     Looks    ""         "what is further up"

    ChooseDown    Choose  ["j" "Down"]               Looks    ""         "next"
    ChooseUp      Choose  ["k" "Up"]                 Looks    ""         "previous"
    ChooseTop     Choose  ["g g" "Home"]             Looks    ""         "the first"
    ChooseBottom  Choose  ["G" "End"]                Looks    ""         "the last"
    ChooseThis    Choose  ["Enter"]                  Looks    "choose"   "choose"
    ChooseNone    Choose  ["Esc" "q"]                Looks    "back"     "back"

    PickToggle    Pick    ["Space"]                  Looks    "on/off"   "take it in or out"
    PickDown      Pick    ["J"]                      Looks    "later"    "move it down"
    PickUp        Pick    ["K"]                      Looks    "earlier"  "move it up"

    FieldDone     Field   ["Enter"]                  Looks    "done"     "done"
    FieldCancel   Field   ["Esc"]                    Looks    "cancel"   "back to what it was"
    FieldOlder    Field   ["Up"]                     Looks    ""         "what was typed before"
    FieldNewer    Field   ["Down"]                   Looks    ""         "what was typed after that"
    FieldComplete Field   ["Tab"]                    Looks    "complete" "complete, or the next candidate; at the end of the line the right arrow too"

    FormNext      Form    ["Tab" "Down"]             Looks    "complete, next" "complete what is typed, else the next field"
    FormPrevious  Form    ["BackTab" "Up"]           Looks    ""         "the field before"
    FormEditor    Form    ["ctrl-o"]                 Looks    "editor"   "edit the field in $VISUAL or $EDITOR"

    WelcomeDemo   Welcome ["d"]                      Looks    "demo"     "look around in the simulated cluster"
    WelcomeBroker Welcome ["b"]                      Looks    "broker"   "type a broker URL"

    ReplayBack    Replay  ["<" "ctrl-left"]          Looks    "minute back" "a minute back in the recording"
    ReplayOn      Replay  [">" "ctrl-right"]         Looks    "minute on" "a minute on in the recording"
    ReplayTo      Replay  ["@"]                      Looks    "go to"    "go to a time of the recording"
    ReplayFaster  Replay  ["ctrl-up"]                Looks    "faster"   "play faster"
    ReplaySlower  Replay  ["ctrl-down"]              Looks    "slower"   "play slower"

    LogBulks      Log     ["b"]                      Looks    "bulk"     "bulk actions that have not ended: go on, stop, show"
    Undo          Log     ["u"]                      Sends    "undo"     "take a command back: messages it took out wait again"

    Pause         Global  ["p"]                      Looks    "pause"    "hold the view still"
    Copy          Global  ["y"]                      Looks    "copy"     "copy to the clipboard"
    TimeStyle     Global  ["T"]                      Looks    ""         "times as clock, UTC, or how long ago"
    Clusters      Global  ["C"]                      Looks    ""         "another cluster: the profiles of the config file"
    Log           Global  ["L"]                      Looks    "log"      "commands and their replies"
    SendTask      Global  []                         Sends    ""         "send a task: its name, arguments and queue are asked for, then its message is shown"
    Overrides     Global  []                         Looks    ""         "overrides: what was changed at runtime and a restart forgets"
    Bulks         Global  []                         Looks    ""         "bulk actions that have not ended: go on, stop, show"
    StopSteps     Global  ["ctrl-x"]                 Looks    ""         "stop the command that is under way step by step"
    Find          Global  ["F"]                      Looks    "find"     "find a task anywhere: an id, a part of one, an argument, kwarg=value (on RabbitMQ that marks waiting messages as redelivered)"
    Palette       Global  [":"]                      Looks    "command"  "find an action, a tab, a task's name, a worker, a queue"
    Help          Global  ["?"]                      Looks    "help"     "all keys of this screen"
    Back          Global  ["Esc"]                    Looks    ""         "one step back"
    NextTab       Global  ["g t"]                Looks    ""         "next tab"
    PreviousTab   Global  ["g T"]                Looks    ""         "previous tab"
    Refresh       Global  ["ctrl-r"]                 Looks    ""         "ask the broker and the workers again"
    Redraw        Global  ["ctrl-l"]                 Looks    ""         "draw the screen anew"
    Suspend       Global  ["ctrl-z"]                 Looks    ""         "go back to the shell, until `fg`"
    Quit          Global  ["q" "ctrl-c"]             Looks    "quit"     "quit"
}

/// Scopes that can be live at the same time, as the views say.
pub const TOGETHER: &[&[Scope]] = &[
    &[
        Scope::Opens,
        Scope::Exports,
        Scope::Tasks,
        Scope::TaskList,
        Scope::Panes,
        Scope::Sorts,
        Scope::Filters,
        Scope::Marks,
        Scope::List,
        Scope::Global,
        Scope::Recorded,
        Scope::History,
        Scope::Compares,
    ],
    &[
        Scope::Opens,
        Scope::Exports,
        Scope::Failures,
        Scope::Compares,
        Scope::Panes,
        Scope::Sorts,
        Scope::Filters,
        Scope::Marks,
        Scope::List,
        Scope::Global,
    ],
    &[
        Scope::Opens,
        Scope::HasTasks,
        Scope::Exports,
        Scope::Workers,
        Scope::Panes,
        Scope::Sorts,
        Scope::Filters,
        Scope::Marks,
        Scope::List,
        Scope::Global,
    ],
    &[Scope::Opens, Scope::HasTasks, Scope::Tasks, Scope::Panes, Scope::Filters, Scope::List, Scope::Global],
    &[Scope::Form, Scope::Field],
    &[
        Scope::Opens,
        Scope::HasTasks,
        Scope::Exports,
        Scope::Broker,
        Scope::Panes,
        Scope::Sorts,
        Scope::Filters,
        Scope::Marks,
        Scope::List,
        Scope::Global,
    ],
    &[Scope::Overrides, Scope::List, Scope::Global],
    &[Scope::InCommon, Scope::List, Scope::Global],
    &[Scope::Opens, Scope::Schedule, Scope::Filters, Scope::List, Scope::Global],
    &[Scope::Opens, Scope::Monitor, Scope::Panes, Scope::Sorts, Scope::List, Scope::Global],
    &[Scope::Opens, Scope::Tasks, Scope::Tree, Scope::Panes, Scope::List, Scope::Global],
    &[Scope::Tasks, Scope::Folds, Scope::Text, Scope::Panes, Scope::Global],
    &[Scope::Welcome, Scope::Global],
    &[Scope::Choose, Scope::Text, Scope::Log],
    &[Scope::Pick, Scope::Choose],
    &[Scope::Confirm],
    &[Scope::Field],
    &[Scope::Replay, Scope::Global],
];

impl Action {
    /// The name it has in a config file: `task_retry`.
    pub fn name(self) -> String {
        let mut name = String::new();
        for c in format!("{self:?}").chars() {
            if c.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(c.to_ascii_lowercase());
        }
        name
    }

    /// Its row. Every action has one.
    pub fn row(self) -> &'static Row {
        // The table has a row for each variant: the macro makes both from the same list.
        &TABLE[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_risk_wherever_it_is_live() {
        for scopes in TOGETHER {
            let mut seen: std::collections::HashMap<&str, (&Row, Risk)> = std::collections::HashMap::new();
            for row in TABLE.iter().filter(|r| scopes.contains(&r.scope)) {
                for key in row.keys {
                    if let Some((other, risk)) = seen.insert(key, (row, row.risk)) {
                        assert_eq!(risk, row.risk, "{key}: {:?} and {:?}", other.action, row.action);
                    }
                }
            }
        }
    }

    #[test]
    fn every_action_finds_its_own_row() {
        for row in TABLE {
            assert_eq!(row.action.row().action, row.action);
            assert!(!row.help.is_empty());
        }
    }
}
