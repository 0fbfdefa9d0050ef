//! What this machine has.

use sysinfo::System;
use weft_protocol::hardware::{Gpu, Hardware};

/// Asks the system, and NVIDIA's driver where there is one.
#[must_use]
pub fn detect() -> Hardware {
    let mut system = System::new().ok();
    if let Some(system) = &mut system {
        system.refresh_memory();
        system.refresh_cpu_all();
    }
    let cpu = system.as_ref().and_then(|system| system.cpus().first());
    let cpu_model = cpu.map(|cpu| cpu.brand().trim().to_owned());
    Hardware {
        os: System::long_os_version().unwrap_or_else(|_| std::env::consts::OS.to_owned()),
        arch: std::env::consts::ARCH.to_owned(),
        cpu_model: cpu_model.unwrap_or_default(),
        cpu_cores: cores(),
        ram: system.map_or(0, |system| system.total_memory()),
        gpus: gpus(),
    }
}

/// How much memory the machine has, in bytes; 0 where that can't be asked.
#[must_use]
pub fn ram() -> u64 {
    let system = System::new().ok();
    system.map_or(0, |mut system| {
        system.refresh_memory();
        system.total_memory()
    })
}

/// How many cores this process may use.
#[must_use]
pub fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cores).unwrap_or(u32::MAX)
}

/// The graphics cards that NVIDIA's management library tells of; none without its driver.
fn gpus() -> Vec<Gpu> {
    let Ok(nvml) = nvml_wrapper::Nvml::init() else {
        return Vec::new();
    };
    let count = nvml.device_count().unwrap_or(0);
    let cards = (0..count).filter_map(|index| {
        let device = nvml.device_by_index(index).ok()?;
        let memory = device.memory_info().map_or(0, |memory| memory.total);
        Some(Gpu { model: device.name().ok()?, memory })
    });
    cards.collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_machine_has_cores_and_memory() {
        let hardware = super::detect();
        assert!(hardware.cpu_cores >= 1 && hardware.ram > 1 << 26, "{hardware:?}");
        assert!(!hardware.os.is_empty() && !hardware.arch.is_empty());
    }
}
