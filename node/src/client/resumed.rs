//! A job handed to this machine's daemon: it is submitted once, also where the daemon ends before it has answered
//! and is started again.

use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::{Client, Way, result_of};
use crate::api::connect_local;
use crate::error::{ApiError, Code};
use crate::submit::new_nonce;

/// For how long a daemon that went away may stay away: a service manager starts it again within seconds.
const AWAY: Duration = Duration::from_secs(20);
/// How long one that has closed its connections may take to end.
const GOING: Duration = Duration::from_secs(1);
/// How often it is looked for meanwhile.
const LOOK: Duration = Duration::from_millis(100);

impl Client {
    /// Submits through this machine's daemon. Each call is one job: where the answer breaks off, and the daemon
    /// comes back, it is asked again for the same, and knows whether it has it.
    ///
    /// # Errors
    /// When it can't be submitted, or nobody can tell whether it was.
    pub(super) async fn submit_here(
        &self,
        mut request: Value,
        progress: &mut (dyn FnMut(&Value) + Send),
    ) -> Result<Value, ApiError> {
        let local = Self { home: self.home.clone(), way: Way::Local(None) };
        if request["nonce"].is_null() {
            request["nonce"] = HEXLOWER.encode(&new_nonce()?).into();
        }
        let mut asked = local.submit_once(&request, progress).await;
        while let Err(error) = &asked
            && error.code == Code::Unreachable
            // What it was asked ends with it; one that only stands still may yet do it.
            && local.daemon_is(false, GOING, || ()).await
        {
            let tell = || progress(&json!({ "waiting": true }));
            if !local.daemon_is(true, AWAY, tell).await {
                let why = format!("{}: whether the job was submitted is not known", error.message);
                return Err(ApiError::new(Code::Unreachable, why).hint(
                    "Start the node again with `weft up`: `weft jobs --all` then shows the job if it was submitted.",
                ));
            }
            asked = local.submit_once(&request, progress).await;
        }
        asked
    }

    /// Waits until a daemon runs here, or none does. Says whether that came about within some time.
    async fn daemon_is(
        &self,
        there: bool,
        within: Duration,
        mut waits: impl FnMut() + Send,
    ) -> bool {
        let begun = Instant::now();
        while connect_local(&self.home).await.is_ok() != there {
            if begun.elapsed() >= within {
                return false;
            }
            waits();
            tokio::time::sleep(LOOK).await;
        }
        true
    }

    async fn submit_once(
        &self,
        request: &Value,
        progress: &mut (dyn FnMut(&Value) + Send),
    ) -> Result<Value, ApiError> {
        result_of(self.lines("POST", "jobs", Some(request.clone())).await?, progress).await
    }
}
