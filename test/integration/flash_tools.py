"""Stand-ins for esptool.py, openocd and JLinkExe: the folder that one of them
lies in is the chip's flash and the adapter.  Each takes the command lines that
the real one takes, and no other."""
import json
import pathlib
import re
import sys

here = pathlib.Path(sys.argv[0]).parent
name, argv = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
flash = here / "flash"
with open(here / "calls", "a") as log:
    log.write(json.dumps(argv) + "\n")
AT, SIZE = "0x3f0000", 16384


def read(path, n):
    data = flash.read_bytes() if flash.exists() else b""
    pathlib.Path(path).write_bytes(data[:n].ljust(n, b"\xff"))


def write(path):
    flash.write_bytes(pathlib.Path(path).read_bytes())


def verify(path):
    if flash.read_bytes() != pathlib.Path(path).read_bytes():
        sys.exit("verify: contents differ")


def there():
    if (here / "away").exists():
        sys.exit("Error: unable to find a matching device")


def esptool():
    if argv == ["version"]:
        return print("esptool.py v4.7.0\n4.7.0")
    assert argv[:2] == ["--chip", "esp32"] and argv[2] == "--port" and \
        argv[4:6] == ["--baud", "460800"], argv
    match argv[6:]:
        case ["read_mac"]:
            print("Chip is ESP32-D0WD\nMAC: 24:6f:28:aa:bb:cc")
        case ["read_flash", at, n, path] if at == AT:
            read(path, int(n))
        case ["write_flash", at, path] if at == AT:
            write(path)
        case ["verify_flash", at, path] if at == AT:
            verify(path)
        case other:
            sys.exit(f"esptool.py: error: {other}")


def openocd():
    if argv == ["--version"]:
        return print("Open On-Chip Debugger 0.12.0", file=sys.stderr)
    there()
    assert argv[:2] == ["-f", "interface/cmsis-dap.cfg"], argv
    assert set(argv[2::2]) <= {"-f", "-c"}, argv
    assert argv[-1] == "shutdown", argv
    for c in argv[3::2]:
        if m := re.fullmatch(r"dump_image \{(.+)\} 0x1fff7590 12", c):
            pathlib.Path(m[1]).write_bytes(b"STM32-number")
        elif m := re.fullmatch(rf"dump_image \{{(.+)\}} {AT} (\d+)", c):
            read(m[1], int(m[2]))
        elif m := re.fullmatch(
                rf"flash write_image erase \{{(.+)\}} {AT} bin", c):
            write(m[1])
        elif m := re.fullmatch(rf"verify_image \{{(.+)\}} {AT} bin", c):
            verify(m[1])
        elif c not in ("target/stm32l4x.cfg", "init", "reset halt",
                       "reset run", "shutdown", "adapter serial 77",
                       "adapter speed 1000", "transport select swd"):
            sys.exit(f'invalid command name "{c}"')


def jlink():
    print("SEGGER J-Link Commander V7.94e (Compiled Nov 20 2023)")
    assert argv[:4] == ["-NoGui", "1", "-ExitOnError", "1"] and \
        argv[-2] == "-CommandFile", argv
    lines = pathlib.Path(argv[-1]).read_text().split("\n")
    assert lines[-2:] == ["exit", ""]
    if lines[0] == "ShowEmuList":
        if not (here / "away").exists():
            print("J-Link[0]: Connection: USB, Serial number: 77")
        return None
    there()
    assert argv[4:-2] == ["-SelectEmuBySN", "77", "-Device", "nRF52840_xxAA",
                          "-If", "SWD", "-Speed", "4000", "-AutoConnect",
                          "1"], argv
    for line in lines[:-2]:
        verb, _, rest = line.partition(" ")
        match [verb, *rest.split(",")]:
            case ["h", ""]:
                pass
            case ["savebin", path, "0x10000060", "0x8"]:
                pathlib.Path(path).write_bytes(b"nRF-chip")
            case ["savebin", path, at, n] if at == AT:
                read(path, int(n, 16))
            case ["loadbin", path, at] if at == AT:
                write(path)
            case ["verifybin", path, at] if at == AT:
                verify(path)
            case other:
                sys.exit(f"Unknown command {other}")


{"esptool.py": esptool, "openocd": openocd, "JLinkExe": jlink}[name]()
