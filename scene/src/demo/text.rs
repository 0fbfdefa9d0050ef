//! The scene's text, as TOML: only what it may say, not what makes sense (see `check`).

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SceneText {
    #[serde(default)]
    pub(super) title: String,
    #[serde(default = "one_frame")]
    pub(super) start_frame: Spanned<i64>,
    #[serde(default = "last_frame")]
    pub(super) end_frame: Spanned<i64>,
    #[serde(default = "fps")]
    pub(super) fps: Spanned<f64>,
    pub(super) width: Spanned<u32>,
    pub(super) height: Spanned<u32>,
    pub(super) samples: Spanned<u32>,
    #[serde(default)]
    pub(super) seed: u32,
    #[serde(default = "bounces")]
    pub(super) bounces: Spanned<u32>,
    #[serde(default = "exposure")]
    pub(super) exposure: Spanned<f32>,
    #[serde(default = "vignette")]
    pub(super) vignette: Spanned<f32>,
    #[serde(default = "yes")]
    pub(super) denoise: bool,
    pub(super) camera: Spanned<CameraText>,
    pub(super) sky: Spanned<SkyText>,
    pub(super) materials: BTreeMap<String, Spanned<MaterialText>>,
    #[serde(default)]
    pub(super) objects: Vec<Spanned<ObjectText>>,
    #[serde(default)]
    pub(super) lights: Vec<Spanned<LightText>>,
}

fn one_frame() -> Spanned<i64> {
    Spanned::new(0..0, 1)
}
fn last_frame() -> Spanned<i64> {
    Spanned::new(0..0, 24)
}
fn fps() -> Spanned<f64> {
    Spanned::new(0..0, 24.0)
}
fn bounces() -> Spanned<u32> {
    Spanned::new(0..0, 4)
}
fn exposure() -> Spanned<f32> {
    Spanned::new(0..0, 1.0)
}
fn vignette() -> Spanned<f32> {
    Spanned::new(0..0, 0.0)
}
fn yes() -> bool {
    true
}

pub(super) type Triple = [f32; 3];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CameraText {
    pub(super) fov: f32,
    #[serde(default)]
    pub(super) aperture: f32,
    pub(super) focus: Option<f32>,
    pub(super) orbit: Option<OrbitText>,
    #[serde(default)]
    pub(super) keys: Vec<KeyText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrbitText {
    pub(super) target: Triple,
    pub(super) distance: f32,
    pub(super) azimuth: f32,
    pub(super) elevation: f32,
    #[serde(default)]
    pub(super) swing: [f32; 2],
    #[serde(default)]
    pub(super) turn: f32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyText {
    pub(super) frame: i64,
    pub(super) position: Triple,
    pub(super) target: Triple,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SkyText {
    pub(super) zenith: String,
    pub(super) horizon: String,
    pub(super) ground: String,
    pub(super) strength: f32,
    #[serde(default = "haze")]
    pub(super) haze: f32,
}

fn haze() -> f32 {
    0.3
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MaterialText {
    pub(super) kind: KindText,
    #[serde(default = "white")]
    pub(super) colour: String,
    pub(super) ior: Option<f32>,
    pub(super) roughness: Option<f32>,
    pub(super) brushed: Option<f32>,
    pub(super) checker: Option<ColoursText>,
    pub(super) weave: Option<ColoursText>,
    pub(super) texture: Option<String>,
    pub(super) texture_size: Option<f32>,
}

fn white() -> String {
    "#ffffff".to_owned()
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum KindText {
    Matte,
    Plastic,
    Metal,
    Glass,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ColoursText {
    pub(super) colours: Vec<String>,
    pub(super) size: f32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ObjectText {
    pub(super) shape: ShapeText,
    pub(super) material: String,
    pub(super) at: Triple,
    #[serde(default)]
    pub(super) rotate: Triple,
    pub(super) radius: Option<f32>,
    pub(super) tube: Option<f32>,
    pub(super) height: Option<f32>,
    pub(super) size: Option<Triple>,
    pub(super) round: Option<f32>,
    pub(super) fade: Option<[f32; 2]>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ShapeText {
    Sphere,
    Floor,
    Box,
    Torus,
    Cylinder,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LightText {
    pub(super) shape: LightShapeText,
    pub(super) at: Triple,
    pub(super) colour: String,
    pub(super) strength: f32,
    pub(super) radius: Option<f32>,
    pub(super) target: Option<Triple>,
    pub(super) size: Option<[f32; 2]>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LightShapeText {
    Ball,
    Softbox,
}
