"""Machines as trees of files: what kernel and vendor say of a board, below a folder that stands for /."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

CPU = "sys/devices/system/cpu"
POLICY = f"{CPU}/cpufreq/policy"
THERMAL = "sys/class/thermal"
FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"


def arm_cores(*parts: tuple[int, int]) -> str:
    """``/proc/cpuinfo`` of cores, each with its implementer and part."""
    lines = "processor\t: {}\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd aes crc32 atomics asimdhp asimddp\n"
    lines += (
        "CPU implementer\t: {:#04x}\nCPU architecture: 8\nCPU variant\t: 0x4\nCPU part\t: {:#05x}\nCPU revision\t: 1\n"
    )
    return "\n".join(lines.format(number, *part) for number, part in enumerate(parts))


def policy(first: int, limit: int, most: int, governor: str, driver: str) -> dict[str, str]:
    """A group of cores with one clock, in kHz."""
    files = {
        "scaling_max_freq": limit,
        "cpuinfo_max_freq": most,
        "scaling_governor": governor,
        "scaling_driver": driver,
    }
    return {f"{POLICY}{first}/{name}": f"{value}\n" for name, value in files.items()}


def thermal(zones: Mapping[str, int], cooling: Mapping[str, int], passive: int = 0) -> dict[str, str]:
    """Zones in thousandths of a degree, each with a passive trip point where there is one, and cooling devices."""
    files = {}
    for number, (name, value) in enumerate(zones.items()):
        files[f"{THERMAL}/thermal_zone{number}/type"] = f"{name}\n"
        files[f"{THERMAL}/thermal_zone{number}/temp"] = f"{value}\n"
        files[f"{THERMAL}/thermal_zone{number}/trip_point_0_type"] = "critical\n"
        files[f"{THERMAL}/thermal_zone{number}/trip_point_0_temp"] = "110000\n"
        if passive:
            files[f"{THERMAL}/thermal_zone{number}/trip_point_1_type"] = "passive\n"
            files[f"{THERMAL}/thermal_zone{number}/trip_point_1_temp"] = f"{passive}\n"
    for number, (name, value) in enumerate(cooling.items()):
        files[f"{THERMAL}/cooling_device{number}/type"] = f"{name}\n"
        files[f"{THERMAL}/cooling_device{number}/cur_state"] = f"{value}\n"
    return files


def jetson_mode(number: int) -> dict[str, str]:
    """What a change of an AGX Orin's power mode changes: 0 MAXN, 1 15W, 2 30W, 3 50W."""
    limit = (2_201_600, 1_113_600, 1_728_000, 1_497_600)[number]
    files = {"var/lib/nvpmodel/status": f"pmode:{number:04d} fmode:quiet\n"}
    for first in (0, 4, 8):
        files |= policy(first, limit, 2_201_600, "schedutil", "tegra194")
    return files


PI5 = {
    "proc/cpuinfo": arm_cores(*[(0x41, 0xD0B)] * 4)
    + "\nRevision\t: d04170\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n",
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    FIRMWARE: "0\n",
    **policy(0, 2_400_000, 2_400_000, "ondemand", "cpufreq-dt"),
    **thermal({"cpu-thermal": 51_800}, {"pwm-fan": 2}),
}
PI4 = {
    "proc/cpuinfo": arm_cores(*[(0x41, 0xD08)] * 4)
    + "\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n",
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    **policy(0, 1_800_000, 1_800_000, "ondemand", "cpufreq-dt"),
    **thermal({"cpu-thermal": 48_200}, {}),
}
ORIN = {
    "proc/cpuinfo": arm_cores(*[(0x41, 0xD42)] * 12).replace(
        "BogoMIPS", "model name\t: ARMv8 Processor rev 1 (v8l)\nBogoMIPS"
    ),
    "proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0",
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic,\n",
    "etc/nvpmodel.conf": "< PARAM TYPE=FILE NAME=CPU_ONLINE >\nCORE_0 /sys/devices/system/cpu/cpu0/online\n"
    "< POWER_MODEL ID=0 NAME=MAXN >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=1 NAME=MODE_15W >\n"
    "< POWER_MODEL ID=2 NAME=MODE_30W >\n< POWER_MODEL ID=3 NAME=MODE_50W >\n< PM_CONFIG DEFAULT=2 >\n",
    **jetson_mode(0),
    **thermal(
        {"cpu-thermal": 49_000, "gpu-thermal": 48_500, "tj-thermal": 50_100},
        {"pwm-fan": 1, "cpu-throttle-alert": 0, "gpu-throttle-alert": 0, "cpufreq-cpu0": 0, "hot-surface-alert": 0},
        99_000,
    ),
}
HWMON = "sys/class/hwmon"


def power_monitor(number: int, *rails: tuple[str, int, int]) -> dict[str, str]:
    """An INA3221: name, millivolts and milliamperes of its channels, their shunts, and the sum of these."""
    at = f"{HWMON}/hwmon{number}"
    files = {f"{at}/name": "ina3221\n", f"{at}/in7_label": "sum of shunt voltages\n", f"{at}/in7_input": "1\n"}
    for channel, (name, millivolts, milliamperes) in enumerate(rails, 1):
        files[f"{at}/in{channel}_label"] = f"{name}\n"
        files[f"{at}/in{channel}_input"] = f"{millivolts}\n"
        files[f"{at}/curr{channel}_input"] = f"{milliamperes}\n"
        files[f"{at}/in{channel + 3}_input"] = "17\n"
    return files


ORIN_RAILS = power_monitor(3, ("VDD_GPU_SOC", 19000, 200), ("VDD_CPU_CV", 19000, 100), ("VIN_SYS_5V0", 5000, 600))
ORIN_RAILS |= power_monitor(4, ("NC", 0, 0), ("VDDQ_VDD2_1V8AO", 4968, 80), ("NC", 0, 0))
"""An AGX Orin that takes 8.7 W: its memory's rail lies behind VIN_SYS_5V0."""
LAPTOP = {
    "proc/cpuinfo": "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Core(TM) i7-1165G7 @ 2.80GHz\n"
    "flags\t\t: fpu avx2\n\n" * 2,
    **policy(0, 4_700_000, 4_700_000, "powersave", "intel_pstate"),
    **policy(1, 4_700_000, 4_700_000, "powersave", "intel_pstate"),
    **{f"{CPU}/cpu{n}/thermal_throttle/{kind}_throttle_count": "7\n" for n in (0, 1) for kind in ("core", "package")},
    **thermal({"acpitz": 25_000, "x86_pkg_temp": 47_000}, {"Processor": 0, "intel_powerclamp": -1, "TCC Offset": 3}),
}


def write(root: Path, files: Mapping[str, str]) -> Path:
    """Write the files below ``root``, over what is there."""
    for name, content in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return root
