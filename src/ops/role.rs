//! What somebody may do who does not sit at this machine: programs that use the API, people in front of a browser.

use super::bulk::Bulk;
use super::{Beat, Command, Control, QueueAction, Risk};

/// Orders from little to everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Sends, revokes and limits tasks.
    Operator,
    /// Changes workers and queues too.
    Admin,
}

impl Role {
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Operator, Role::Admin];

    pub fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == text)
    }

    /// Why a command is not for somebody of this role, if it is not.
    pub fn refuses(self, command: &Command) -> Option<String> {
        match command.takes() {
            None => Some("files of the server are written and read only from a terminal on it".into()),
            Some(takes) if self < takes => {
                Some(format!("it takes the role {}, and yours is {}", takes.name(), self.name()))
            }
            Some(_) => None,
        }
    }
}

impl Command {
    /// The least role it takes; `None` where it takes more than any has: the files of this machine.
    pub fn takes(&self) -> Option<Role> {
        Some(match self {
            Command::Revoke { .. } | Command::Abort { .. } | Command::Retry { .. } | Command::Send(_) => Role::Operator,
            Command::Bulk(Bulk::New { .. } | Bulk::Revoke { .. }) => Role::Operator,
            Command::Bulk(Bulk::Delete { .. }) | Command::Undo { .. } => Role::Admin,
            // Of what was begun all is possible.
            Command::Bulk(Bulk::Resume(_)) => Role::Admin,
            Command::Control { what: Control::RateLimit { .. } | Control::TimeLimit { .. }, .. } => Role::Operator,
            Command::Control { what, .. } if what.risk() == Risk::Looks => Role::Viewer,
            Command::Control { .. } => Role::Admin,
            Command::Queue { what: QueueAction::Dump { .. } | QueueAction::Load(_), .. } => return None,
            Command::Queue { .. } => Role::Admin,
            Command::Beat(Beat::Run { .. }) => Role::Operator,
            Command::Beat(Beat::Switch { .. }) => Role::Admin,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_the_one_below_may_and_none_may_write_files() {
        let control = |what| Command::Control { workers: Vec::new(), what };
        let queue = |what| Command::Queue { queue: "q".into(), what };
        let least = |command: Command| Role::ALL.into_iter().find(|role| role.refuses(&command).is_none());
        assert_eq!(least(control(Control::Ping)), Some(Role::Viewer));
        assert_eq!(least(Command::Revoke { ids: Vec::new(), terminate: None }), Some(Role::Operator));
        assert_eq!(least(control(Control::Shutdown)), Some(Role::Admin));
        assert_eq!(least(queue(QueueAction::Purge)), Some(Role::Admin));
        assert_eq!(least(queue(QueueAction::Dump { path: "/etc/passwd".into(), take: false })), None);
        assert_eq!(least(queue(QueueAction::Load("/etc/passwd".into()))), None);
    }
}
