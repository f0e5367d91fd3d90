//! The keys of the language: adding one is a row here.

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $key:literal $help:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($variant),* }
        impl $name {
            /// Every one, in the order help shows them.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// What a person types before the colon.
            pub fn key(self) -> &'static str {
                match self { $($name::$variant => $key),* }
            }

            /// What it selects by.
            pub fn help(self) -> &'static str {
                match self { $($name::$variant => $help),* }
            }
        }
    };
}

words! {
    /// Keys whose value is a text.
    Word {
        State "state" "the state, or the beginning of its name",
        Task "task" "the task's name",
        Worker "worker" "the worker it was announced by",
        Queue "queue" "the queue it was sent to",
        Id "id" "the task's id",
        Args "args" "the positional arguments",
        Kwargs "kwargs" "the keyword arguments",
        Result "result" "the returned value",
        Error "error" "the exception or the traceback",
        Exception "exception" "the exception's type",
        Root "root" "the id of the workflow's first task",
        Group "group" "the failure group, as the Failures tab names it",
    }
}

words! {
    /// Keys whose value is a number.
    Measure {
        Runtime "runtime" "how long it ran (or has been running)",
        Wait "wait" "how long it waited for its start",
        Eta "eta" "how long until it may start",
        Tries "tries" "how often it was tried",
        Runs "runs" "how often it was seen to start",
    }
}

words! {
    /// Keys whose value is a point in time.
    Edge {
        Since "since" "first heard of after: 15m, 14:00, 2026-11-24, or a mark",
        Until "until" "first heard of before",
    }
}

words! {
    /// Keys whose value is yes or no.
    Trait {
        Open "open" "failed, and not sent again since",
        Retried "retried" "sent again by a person",
    }
}

impl Measure {
    /// Whether the value is a duration.
    pub fn is_seconds(self) -> bool {
        !matches!(self, Measure::Tries | Measure::Runs)
    }
}
