"""The example module of docs/modules.md, as its reader would do it: install xmppd, build the module
against the installed SDK, load it into the running server, use it, change it, reload it, unload it.

Usage: check_module.py BUILD_DIR SOURCE_DIR CXX [SANITIZERS]
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

BUILD, SOURCE, CXX = sys.argv[1:4]
SANITIZERS = sys.argv[4] if len(sys.argv) > 4 else ""
sys.path.insert(0, os.path.join(SOURCE, "tests", "wire"))
sys.path.insert(0, os.path.join(SOURCE, "tests", "interop"))
HELLO = "urn:example:hello"


def run(*command, succeeds=True):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if (done.returncode == 0) != succeeds:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


class Bench:
    """A prefix with everything installed, the example's source, and where it is built."""

    def __init__(self, work):
        self.work = work
        run("cmake", "--install", BUILD, "--prefix", f"{work}/first")
        os.rename(f"{work}/first", f"{work}/prefix")  # nothing may remember where it was installed
        os.environ["XMPPD_BIN_DIR"] = f"{work}/prefix/bin"
        shutil.copytree(os.path.join(SOURCE, "docs", "examples", "hello_module"), f"{work}/hello")
        flags = [f"-DCMAKE_CXX_FLAGS=-fsanitize={SANITIZERS} -fno-sanitize=vptr"] * bool(SANITIZERS)
        run("cmake", "-S", f"{work}/hello", "-B", f"{work}/hello/build",
            f"-DCMAKE_PREFIX_PATH={work}/prefix", f"-DCMAKE_CXX_COMPILER={CXX}", *flags)
        self.build()

    def build(self):
        run("cmake", "--build", f"{self.work}/hello/build")

    def edit(self, old, new):
        path = f"{self.work}/hello/hello.cc"
        with open(path, encoding="utf-8") as file:
            text = file.read()
        assert old in text, old
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(old, new))
        self.build()


def main():
    with tempfile.TemporaryDirectory(prefix="xmppd-module-") as work:
        bench = Bench(work)
        import harness  # noqa: E402  (needs XMPPD_BIN_DIR)
        import wire  # noqa: E402

        config = harness.write_config(
            work, harness.processes.loopback(), server=f'module_path = ["{work}/hello/build"]')
        server = harness.Server(work, config)

        def control(*arguments, succeeds=True):
            return run(f"{work}/prefix/bin/xmppctl", "--socket", f"{work}/control.sock", *arguments,
                       succeeds=succeeds)

        with open(os.path.join(SOURCE, "docs", "modules.md"), encoding="utf-8") as file:
            manual = file.read()
        for name in ("CMakeLists.txt", "hello.cc"):
            with open(f"{work}/hello/{name}", encoding="utf-8") as file:
                assert file.read() in manual, f"docs/modules.md has another {name}"

        def expect_manual(text):
            assert "    " + text in manual, f"docs/modules.md does not say: {text}"

        def expect(text, part):
            assert part in text, f"{part!r} is not in {text!r}"

        try:
            with wire.Wire(server.address, server.port) as first:
                first.open()
                first.secure()
                first.register("alice", harness.PASSWORD)
            client = wire.Wire(server.address, server.port).login("alice", harness.PASSWORD)

            def greeted():
                client.send(f"<iq type='get' to='localhost' id='h'><hello xmlns='{HELLO}'/></iq>")
                answer = client.element(f"{{{wire.CLIENT}}}iq")
                hello = answer.find(f"{{{HELLO}}}hello")
                return answer.get("type"), hello is not None and (hello.text, hello.get("times"))

            assert greeted()[0] == "error"
            expect_manual(control("module", "load", "hello"))
            assert greeted() == ("result", ("Hello!", "1")), greeted()
            assert greeted() == ("result", ("Hello!", "2"))
            info = json.loads(control("module", "info", "hello", "--json"))
            assert info["profiles"] == ["default"] and info["path"].startswith(work), info
            assert info["options"][0]["option"] == "greeting", info
            expect(control("options", "hello"), "What everybody is told.")

            bench.edit('"Hello!"', '"Good day!"')
            expect_manual(control("module", "reload", "hello"))
            assert greeted() == ("result", ("Good day!", "3")), greeted()

            bench.edit("asked_ = scope", 'throw std::runtime_error("not today"); asked_ = scope')
            control("module", "reload", "hello", succeeds=False)
            assert greeted() == ("result", ("Good day!", "4")), greeted()

            # Overwritten in place, as `cp` does it: what runs is a copy.
            with open(f"{work}/hello/build/mod_hello.so", "r+b") as file:
                file.truncate(100)
            assert greeted() == ("result", ("Good day!", "5"))
            control("module", "reload", "hello", succeeds=False)
            assert greeted() == ("result", ("Good day!", "6"))
            expect_manual(control("module", "unload", "hello"))
            assert greeted()[0] == "error"
            client.close()
        finally:
            process = server.child.process
            process.terminate()
            ended = process.wait(30 * harness.PATIENCE)
            log = server.log()
            server.stop()
        if ended != 0 or "Sanitizer" in log:
            sys.exit(f"xmppd ended with {ended}\n{log}")
    print("ok: the example module was built, loaded, reloaded and unloaded")


main()
