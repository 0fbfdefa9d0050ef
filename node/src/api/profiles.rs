//! Profiles: common needs by their names, with what an hour of a machine that meets them costs.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::Path;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};
use weft_protocol::hardware::GIB;
use weft_protocol::settings::{Change, Profile};

use super::settings::{set, thousandths};
use super::{Access, Answer, State};
use crate::error::{ApiError, Code};
use crate::shared::Shared;
use crate::submit::bytes_of;

fn document(node: &Shared, name: &str, profile: &Profile) -> Value {
    let machine = node.machine();
    let renders = machine.known().filter(|advert| advert.role.renders());
    let needs = profile.needs();
    let meets =
        renders.filter(|advert| needs.shortfalls(&advert.hardware, &BTreeSet::new()).is_empty());
    #[expect(clippy::cast_precision_loss, reason = "a millionth of a GiB is fine enough")]
    let ram = (profile.ram as f64 / GIB as f64 * 1e6).round() / 1e6;
    json!({
        "name": name,
        "ram": ram,
        "cores": profile.cores,
        "gpus": profile.gpus,
        "gpu_model": profile.gpu_model,
        "price_per_hour": f64::from(profile.price) / 1000.0,
        "nodes": meets.count(),
    })
}

pub(super) async fn list(node: State) -> Json<Value> {
    let profiles = node.machine().ledger.settings.profiles();
    Json(profiles.iter().map(|(name, profile)| document(&node, name, profile)).collect())
}

/// What is to be set of a profile: what is left out stays as it was, and is nothing for a new one.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ProfileRequest {
    ram: Option<f64>,
    cores: Option<u32>,
    gpus: Option<u32>,
    gpu_model: Option<String>,
    price_per_hour: Option<f64>,
}

pub(super) async fn change(
    node: State,
    access: Access,
    Path(name): Path<String>,
    Json(request): Json<ProfileRequest>,
) -> Answer {
    let wrong = |why: &str| ApiError::new(Code::Invalid, format!("{why}; nothing was changed"));
    let known = node.machine().ledger.settings.profiles().remove(&name);
    let mut profile = known.unwrap_or_default();
    if let Some(ram) = request.ram {
        profile.ram = bytes_of(ram).ok_or_else(|| wrong("that is no amount of memory in GiB"))?;
    }
    profile.cores = request.cores.unwrap_or(profile.cores);
    profile.gpus = request.gpus.unwrap_or(profile.gpus);
    profile.gpu_model = request.gpu_model.unwrap_or(profile.gpu_model);
    if let Some(price) = request.price_per_hour {
        profile.price = thousandths(price)?;
    }
    let copies =
        set(&node, access, vec![Change::Profile(name.clone(), Some(profile.clone()))]).await?;
    let mut document = document(&node, &name, &profile);
    document["copies"] = copies.into();
    Ok(Json(document).into_response())
}

pub(super) async fn remove(node: State, access: Access, Path(name): Path<String>) -> Answer {
    if !node.machine().ledger.settings.profiles().contains_key(&name) {
        let why = format!("there is no profile '{name}'; nothing was changed");
        return Err(ApiError::new(Code::NotFound, why).hint("`weft profiles` lists them."));
    }
    let copies = set(&node, access, vec![Change::Profile(name.clone(), None)]).await?;
    Ok(Json(json!({ "name": name, "removed": true, "copies": copies })).into_response())
}
