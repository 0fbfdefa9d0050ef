//! `weft run`: hand in a command of one's own.

use serde_json::{Value, json};

use super::submit::{Basics, Shared, hand_in, joined};
use crate::context::Context;
use crate::error::Failure;
use crate::values;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which frames the command runs for, like 1-100; once, as frame 1, otherwise
    #[arg(short, long, value_name = "SPEC", allow_hyphen_values = true, value_parser = values::frame_spec)]
    frames: Option<String>,
    #[command(flatten)]
    basics: Basics,
    #[command(flatten)]
    shared: Shared,
    /// The program and its arguments; {frame}, {frame:04}, {inputs}, {work}, {threads} and a few more are filled in
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    hand_in(args.request()?, &args.basics, context).await
}

impl Args {
    fn request(&self) -> Result<Value, Failure> {
        self.basics.check_frames(self.frames.as_deref())?;
        let own = json!({ "frames": self.frames, "command": self.command });
        joined([own, self.basics.request()?, self.shared.request()?])
    }
}

#[cfg(test)]
mod tests {
    use crate::args;
    use clap::Parser as _;

    fn request(line: &[&str]) -> Result<serde_json::Value, String> {
        let line = ["weft", "run"].into_iter().chain(line.iter().copied());
        let args = args::Args::try_parse_from(line).map_err(|error| error.to_string())?;
        let args::Command::Run(args) = args.command else { panic!("it is a command") };
        args.request().map_err(|failure| failure.message().to_owned())
    }

    #[test]
    fn a_command_goes_as_it_is_behind_the_dashes() {
        let request =
            request(&["-f", "1-3", "--tag", "x", "--", "ffmpeg", "-i", "{frame}", "--", "-f"]);
        let typed: weft_node::submit::SubmitRequest =
            serde_json::from_value(request.unwrap()).unwrap();
        assert_eq!(typed.command, ["ffmpeg", "-i", "{frame}", "--", "-f"]);
        assert_eq!(
            (typed.frames.as_deref(), &typed.tags[..]),
            (Some("1-3"), &["x".to_owned()][..])
        );
        assert!(typed.scene.as_os_str().is_empty());
    }

    #[test]
    fn a_call_without_a_command_is_wrong() {
        for (line, why) in [
            (&["-f", "1-3"][..], "COMMAND"),
            (&["true"], "unexpected argument"),
            (&["-f", "1-3", "--test-frames", "4", "--", "true"], "test frame 4 is not one"),
        ] {
            let error = request(line).unwrap_err();
            assert!(error.contains(why), "{line:?}: {error}");
        }
    }
}
