//! From the scene's text to a [`Scene`]: names are resolved, and numbers checked.

use std::collections::BTreeMap;

use toml::Spanned;

use super::camera::{Camera, Key, Path};
use super::geometry::{Object, Shape};
use super::image::{MAX_SIDE, srgb_to_linear};
use super::light::{Light, LightShape, Sky};
use super::material::{Kind, Material};
use super::math::{Rotation, Vec3, vec3};
use super::pattern::Pattern;
use super::scene::{MAX_LIGHTS, MAX_OBJECTS, MAX_SAMPLES, Scene, SceneError, TextureUse};
use super::text::{
    CameraText, ColoursText, KeyText, KindText, LightShapeText, LightText, MaterialText,
    ObjectText, SceneText, ShapeText, SkyText, Triple,
};

/// Lengths and places must be smaller than this, so that no square overflows.
const FAR: f32 = 1e6;
/// Frame numbers must be smaller than this: Blender's limit, and exact as an `f32`.
const MAX_FRAME: i64 = 1_048_574;

/// Reads and checks a scene.
pub(super) fn parse(text: &str) -> Result<Scene, SceneError> {
    let raw: SceneText = toml::from_str(text)
        .map_err(|e| SceneError::Syntax(e.to_string().trim_end().to_owned()))?;
    let at = |byte: usize| Place {
        line: text.as_bytes().iter().take(byte).filter(|&&b| b == b'\n').count() + 1,
    };

    let ranged = |value: &Spanned<u32>, name, max| {
        let place = at(value.span().start);
        place.within(name, *value.get_ref() as f32, 1.0, max as f32)?;
        Ok::<u32, SceneError>(*value.get_ref())
    };
    let width = ranged(&raw.width, "width", MAX_SIDE)?;
    let height = ranged(&raw.height, "height", MAX_SIDE)?;
    let samples = ranged(&raw.samples, "samples", MAX_SAMPLES)?;
    let bounces = ranged(&raw.bounces, "bounces", 64)?;
    let (start_frame, end_frame) = (*raw.start_frame.get_ref(), *raw.end_frame.get_ref());
    for (value, name) in [(&raw.start_frame, "start_frame"), (&raw.end_frame, "end_frame")] {
        at(value.span().start).frame(name, *value.get_ref())?;
    }
    if start_frame > end_frame {
        return at(raw.end_frame.span().start).wrong("end_frame is before start_frame");
    }
    let fps = *raw.fps.get_ref();
    if !(fps > 0.0 && fps <= 1000.0) {
        return at(raw.fps.span().start).wrong("fps must be above 0 and at most 1000");
    }
    let exposure =
        at(raw.exposure.span().start).within("exposure", *raw.exposure.get_ref(), 0.0, 1e4)?;
    let vignette =
        at(raw.vignette.span().start).within("vignette", *raw.vignette.get_ref(), 0.0, 1.0)?;

    let camera = camera(raw.camera.get_ref(), at(raw.camera.span().start))?;
    let sky = sky(raw.sky.get_ref(), at(raw.sky.span().start))?;

    let mut textures = Vec::new();
    let mut names = BTreeMap::new();
    let mut materials = Vec::new();
    for (name, value) in &raw.materials {
        names.insert(name.as_str(), materials.len());
        materials.push(material(name, value.get_ref(), at(value.span().start), &mut textures)?);
    }
    for (what, len, max, first) in [
        (
            "objects",
            raw.objects.len(),
            MAX_OBJECTS,
            raw.objects.get(MAX_OBJECTS).map(Spanned::span),
        ),
        ("lights", raw.lights.len(), MAX_LIGHTS, raw.lights.get(MAX_LIGHTS).map(Spanned::span)),
    ] {
        if let Some(span) = first {
            return at(span.start).wrong(format!("there are {len} {what}; at most {max} go"));
        }
    }
    let object = |o: &Spanned<ObjectText>| object(o.get_ref(), at(o.span().start), &names);
    let light = |l: &Spanned<LightText>| light(l.get_ref(), at(l.span().start));
    Ok(Scene {
        title: raw.title,
        start_frame,
        end_frame,
        fps,
        width,
        height,
        samples,
        seed: raw.seed,
        bounces,
        exposure,
        vignette,
        denoise: raw.denoise,
        camera,
        sky,
        materials,
        objects: raw.objects.iter().map(object).collect::<Result<_, _>>()?,
        lights: raw.lights.iter().map(light).collect::<Result<_, _>>()?,
        textures,
    })
}

/// A line of the text, to complain about.
#[derive(Clone, Copy)]
struct Place {
    line: usize,
}

impl Place {
    fn wrong<T>(self, reason: impl Into<String>) -> Result<T, SceneError> {
        Err(SceneError::Invalid { line: self.line, reason: reason.into() })
    }

    /// A number within its limits; NaN is in none.
    fn within(self, name: &str, value: f32, low: f32, high: f32) -> Result<f32, SceneError> {
        if value >= low && value <= high {
            return Ok(value);
        }
        self.wrong(format!("{name} must be {low} to {high}, not {value}"))
    }

    fn length(self, name: &str, value: Option<f32>) -> Result<f32, SceneError> {
        match value {
            Some(value) => self.within(name, value, 1e-4, FAR),
            None => self.wrong(format!("{name} is missing")),
        }
    }

    fn place(self, name: &str, [x, y, z]: Triple) -> Result<Vec3, SceneError> {
        for value in [x, y, z] {
            self.within(name, value, -FAR, FAR)?;
        }
        Ok(vec3(x, y, z))
    }

    fn frame(self, name: &str, frame: i64) -> Result<i64, SceneError> {
        if (-MAX_FRAME..=MAX_FRAME).contains(&frame) {
            return Ok(frame);
        }
        self.wrong(format!("{name} must be {} to {MAX_FRAME}, not {frame}", -MAX_FRAME))
    }

    /// `#rrggbb` as linear light.
    fn colour(self, text: &str) -> Result<Vec3, SceneError> {
        let hex = text.strip_prefix('#').filter(|h| h.len() == 6 && h.is_ascii());
        let part = |i: usize| u8::from_str_radix(hex?.get(i..i + 2)?, 16).ok().map(srgb_to_linear);
        match (part(0), part(2), part(4)) {
            (Some(r), Some(g), Some(b)) => Ok(vec3(r, g, b)),
            _ => self.wrong(format!("'{text}' isn't a colour such as \"#d08040\"")),
        }
    }

    /// Complains about the first of these settings that is there.
    fn unused(self, kind: &str, settings: &[(&str, bool)]) -> Result<(), SceneError> {
        match settings.iter().find(|(_, given)| *given) {
            Some((name, _)) => self.wrong(format!("a {kind} has no {name}")),
            None => Ok(()),
        }
    }
}

fn camera(raw: &CameraText, place: Place) -> Result<Camera, SceneError> {
    let path = match (&raw.orbit, raw.keys.as_slice()) {
        (Some(o), []) => Path::Orbit {
            target: place.place("target", o.target)?,
            distance: place.length("distance", Some(o.distance))?,
            azimuth: place.within("azimuth", o.azimuth, -3600.0, 3600.0)?,
            elevation: place.within("elevation", o.elevation, -90.0, 90.0)?,
            swing: [
                place.within("swing", o.swing[0], -3600.0, 3600.0)?,
                place.within("swing", o.swing[1], -90.0, 90.0)?,
            ],
            turn: place.within("turn", o.turn, -36000.0, 36000.0)?,
        },
        (None, [_, ..]) => {
            let key = |k: &KeyText| {
                Ok(Key {
                    frame: place.frame("a key's frame", k.frame)?,
                    position: place.place("position", k.position)?,
                    target: place.place("target", k.target)?,
                })
            };
            let keys = raw.keys.iter().map(key).collect::<Result<Vec<_>, SceneError>>()?;
            if keys.windows(2).any(|pair| pair[0].frame >= pair[1].frame) {
                return place.wrong("the camera's keys aren't in order of their frames");
            }
            Path::Keys(keys)
        }
        _ => return place.wrong("the camera needs either an orbit or keys"),
    };
    Ok(Camera {
        path,
        fov: place.within("fov", raw.fov, 1.0, 170.0)?,
        aperture: place.within("aperture", raw.aperture, 0.0, FAR)?,
        focus: raw.focus.map(|f| place.length("focus", Some(f))).transpose()?,
    })
}

fn sky(raw: &SkyText, place: Place) -> Result<Sky, SceneError> {
    let strength = place.within("strength", raw.strength, 0.0, 1e4)?;
    Ok(Sky {
        zenith: place.colour(&raw.zenith)? * strength,
        horizon: place.colour(&raw.horizon)? * strength,
        ground: place.colour(&raw.ground)? * strength,
        haze: place.within("haze", raw.haze, 0.01, 100.0)?,
    })
}

fn material(
    name: &str,
    raw: &MaterialText,
    place: Place,
    textures: &mut Vec<TextureUse>,
) -> Result<Material, SceneError> {
    let ior = || place.within("ior", raw.ior.unwrap_or(1.5), 1.01, 4.0);
    let given = |names: &[&'static str]| {
        let all = [
            ("ior", raw.ior.is_some()),
            ("roughness", raw.roughness.is_some()),
            ("brushed", raw.brushed.is_some()),
            ("checker", raw.checker.is_some()),
            ("weave", raw.weave.is_some()),
            ("texture", raw.texture.is_some()),
        ];
        all.into_iter().filter(|(name, _)| names.contains(name)).collect::<Vec<_>>()
    };
    let kind = match raw.kind {
        KindText::Matte => {
            place.unused("matte material", &given(&["ior", "roughness", "brushed"]))?;
            Kind::Matte
        }
        KindText::Plastic => {
            place.unused("plastic", &given(&["roughness", "brushed"]))?;
            Kind::Plastic { ior: ior()? }
        }
        KindText::Metal => {
            place.unused("metal", &given(&["ior"]))?;
            Kind::Metal {
                roughness: place.within("roughness", raw.roughness.unwrap_or(0.0), 0.0, 1.0)?,
                brushed: place.within("brushed", raw.brushed.unwrap_or(0.0), 0.0, 1.0)?,
            }
        }
        KindText::Glass => {
            let patterned = ["roughness", "brushed", "checker", "weave", "texture"];
            place.unused("glass", &given(&patterned))?;
            Kind::Glass { ior: ior()? }
        }
    };
    let colours = |raw: &ColoursText| {
        if raw.colours.len() < 2 || raw.colours.len() > 64 {
            return place.wrong("a pattern needs 2 to 64 colours");
        }
        let colours = raw.colours.iter().map(|c| place.colour(c)).collect::<Result<_, _>>()?;
        Ok::<(Vec<Vec3>, f32), SceneError>((colours, place.length("size", Some(raw.size))?))
    };
    let pattern = match (&raw.checker, &raw.weave, &raw.texture) {
        (None, None, None) => Pattern::Plain,
        (Some(checker), None, None) => {
            let (colours, size) = colours(checker)?;
            Pattern::Checker { colours, size }
        }
        (None, Some(weave), None) => {
            let (colours, size) = colours(weave)?;
            Pattern::Weave { colours, size }
        }
        (None, None, Some(path)) => {
            if path.is_empty() || path.contains('\0') {
                return place.wrong("texture isn't a path");
            }
            let index = textures.iter().position(|t| t.path == *path).unwrap_or_else(|| {
                textures.push(TextureUse { path: path.clone(), material: name.to_owned() });
                textures.len() - 1
            });
            let size = place.length("texture_size", Some(raw.texture_size.unwrap_or(1.0)))?;
            Pattern::Texture { index, size }
        }
        _ => return place.wrong("a material has one of checker, weave and texture"),
    };
    if raw.texture.is_none() && raw.texture_size.is_some() {
        return place.wrong("texture_size is given without a texture");
    }
    Ok(Material { kind, pattern, colour: place.colour(&raw.colour)? })
}

fn object(
    raw: &ObjectText,
    place: Place,
    materials: &BTreeMap<&str, usize>,
) -> Result<Object, SceneError> {
    let Some(&material) = materials.get(raw.material.as_str()) else {
        return place.wrong(format!("there is no material '{}'", raw.material));
    };
    let settings = |used: &[&str]| {
        [
            ("radius", raw.radius.is_some()),
            ("tube", raw.tube.is_some()),
            ("height", raw.height.is_some()),
            ("size", raw.size.is_some()),
            ("round", raw.round.is_some()),
            ("fade", raw.fade.is_some()),
        ]
        .into_iter()
        .filter(|(name, _)| !used.contains(name))
        .collect::<Vec<_>>()
    };
    let round = |most: f32| place.within("round", raw.round.unwrap_or(0.0), 0.0, most);
    let shape = match raw.shape {
        ShapeText::Sphere => {
            place.unused("sphere", &settings(&["radius"]))?;
            Shape::Sphere { radius: place.length("radius", raw.radius)? }
        }
        ShapeText::Floor => {
            place.unused("floor", &settings(&["fade"]))?;
            let [from, to] = raw.fade.unwrap_or([FAR, FAR]);
            let from = place.within("fade", from, 0.0, FAR)?;
            Shape::Floor { fade: [from, place.within("fade's second number", to, from, FAR)?] }
        }
        ShapeText::Box => {
            place.unused("box", &settings(&["size", "round"]))?;
            let Some(size) = raw.size else {
                return place.wrong("size is missing");
            };
            for side in size {
                place.length("size", Some(side))?;
            }
            let half = vec3(size[0], size[1], size[2]) * 0.5;
            Shape::Box { half, round: round(half.x.min(half.y).min(half.z))? }
        }
        ShapeText::Torus => {
            place.unused("torus", &settings(&["radius", "tube"]))?;
            let radius = place.length("radius", raw.radius)?;
            let tube = place.length("tube", raw.tube)?;
            Shape::Torus { radius, tube: place.within("tube", tube, 0.0, radius)? }
        }
        ShapeText::Cylinder => {
            place.unused("cylinder", &settings(&["radius", "height", "round"]))?;
            let radius = place.length("radius", raw.radius)?;
            let half = place.length("height", raw.height)? * 0.5;
            Shape::Cylinder { radius, half, round: round(radius.min(half))? }
        }
    };
    let [x, y, z] = raw.rotate;
    for angle in [x, y, z] {
        place.within("rotate", angle, -3600.0, 3600.0)?;
    }
    Ok(Object {
        shape,
        at: place.place("at", raw.at)?,
        rotation: Rotation::from_degrees(vec3(x, y, z)),
        material,
    })
}

fn light(raw: &LightText, place: Place) -> Result<Light, SceneError> {
    let at = place.place("at", raw.at)?;
    let strength = place.within("strength", raw.strength, 0.0, FAR)?;
    let shape = match raw.shape {
        LightShapeText::Ball => {
            let softbox = [("target", raw.target.is_some()), ("size", raw.size.is_some())];
            place.unused("ball", &softbox)?;
            LightShape::Ball { at, radius: place.length("radius", raw.radius)? }
        }
        LightShapeText::Softbox => {
            place.unused("softbox", &[("radius", raw.radius.is_some())])?;
            let (Some(target), Some([w, h])) = (raw.target, raw.size) else {
                return place.wrong("a softbox needs a target and a size");
            };
            let towards = place.place("target", target)? - at;
            if towards.length() < 1e-4 {
                return place.wrong("a softbox can't be at its target");
            }
            let normal = towards.unit();
            let side = Vec3::UP.cross(normal);
            let side = if side.length() > 1e-4 { side.unit() } else { vec3(1.0, 0.0, 0.0) };
            let u = side * (place.length("size", Some(w))? * 0.5);
            let v = normal.cross(side) * (place.length("size", Some(h))? * 0.5);
            LightShape::Softbox { at, u, v, normal }
        }
    };
    Ok(Light { shape, emission: place.colour(&raw.colour)? * strength })
}
