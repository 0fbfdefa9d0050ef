//! A job handed to this machine's daemon: it is submitted once, also where the daemon ends before it has answered
//! and is started again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Client, Way, result_of};
use crate::api::connect_local;
use crate::error::{ApiError, Code};

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
            request["nonce"] = new_nonce()?.into();
        }
        let mut asked = local.submit_once(&request, progress).await;
        while let Err(error) = &asked
            && error.code == Code::Unreachable
            && local.daemon_goes().await
        {
            if !local.daemon_returns(progress).await {
                let why = format!("{}: whether the job was submitted is not known", error.message);
                return Err(ApiError::new(Code::Unreachable, why).hint(
                    "Start the node again with `weft up`: `weft jobs --all` then shows the job if it was submitted.",
                ));
            }
            asked = local.submit_once(&request, progress).await;
        }
        asked
    }

    /// Whether the daemon ends. What it was asked ends with it; one that only stands still may yet do it.
    async fn daemon_goes(&self) -> bool {
        let asked = Instant::now();
        while connect_local(&self.home).await.is_ok() {
            if asked.elapsed() >= GOING {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
        true
    }

    /// Whether a daemon runs here again within some time.
    async fn daemon_returns(&self, progress: &mut (dyn FnMut(&Value) + Send)) -> bool {
        let gone = Instant::now();
        while connect_local(&self.home).await.is_err() {
            if gone.elapsed() >= AWAY {
                return false;
            }
            progress(&json!({ "waiting": true }));
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

/// What tells one submission from all others, as the API takes it.
fn new_nonce() -> Result<String, ApiError> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce)
        .map_err(|error| ApiError::new(Code::Failed, format!("no randomness: {error}")))?;
    Ok(data_encoding::HEXLOWER.encode(&nonce))
}
