"""Volumes of pods as a kubelet lays them out: root's, open to the pod's group, secrets behind symbolic links."""

import shutil
import subprocess


class Volumes:
    """The volumes of pods, folders below one.

    Parameters
    ----------
    folder : keeps them.
    secrets : folder of a folder of files for each Secret.
    configs : data of each ConfigMap.
    """

    def __init__(self, folder, secrets, configs):
        self._folder, self._secrets, self._configs = folder, secrets, configs
        self._mounted = []

    def path(self, pod, volume):
        """Where it is on this machine."""
        return self._folder / pod.name / volume

    def make(self, pod):
        """Make all of a pod's; a claim that is there stays as it is."""
        for volume in pod.volumes.values():
            path = self.path(pod, volume.name)
            if volume.kind == "claim" and path.exists():
                continue
            path.mkdir(parents=True)
            if volume.kind == "memory":
                self._mount(path, volume.size)
            elif volume.kind == "secret":
                files = {name: (self._secrets / volume.source / file).read_bytes() for file, name in volume.items}
                _write(path, files, pod.group, volume.mode)
            elif volume.kind == "config":
                files = {name: text.encode() for name, text in self._configs[volume.source].items()}
                _write(path, files, pod.group, volume.mode)
            shutil.chown(path, 0, pod.group)
            path.chmod(0o2775 if volume.kind == "claim" else 0o3777)

    def forget(self, pod, *, claims=False):
        """Remove what goes with the pod, and its claims where told."""
        for volume in pod.volumes.values():
            path = self.path(pod, volume.name)
            if volume.kind == "claim" and not claims:
                continue
            if path in self._mounted:
                subprocess.run(("umount", str(path)), check=True)
                self._mounted.remove(path)
            shutil.rmtree(path, ignore_errors=True)

    def over_full(self, pod):
        """Scratch volumes of a pod that hold more than they may: a kubelet evicts it for that."""
        held = {
            volume.name: sum(file.lstat().st_size for file in self.path(pod, volume.name).rglob("*") if file.is_file())
            for volume in pod.volumes.values() if volume.kind == "scratch"
        }  # fmt: skip
        return {name: size for name, size in held.items() if size > pod.volumes[name].size}

    def close(self):
        """Unmount all, and remove them."""
        for path in self._mounted:
            subprocess.run(("umount", "--lazy", str(path)), check=False)
        self._mounted = []
        shutil.rmtree(self._folder, ignore_errors=True)

    def _mount(self, path, size):
        options = f"size={size},mode=1777"
        subprocess.run(("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)), check=True)
        self._mounted.append(path)


def _write(folder, files, group, mode):
    """Files that change all at once: each is a link through `..data`, which is a link to the folder of now."""
    now = folder / "..now"
    now.mkdir()
    shutil.chown(now, 0, group)
    now.chmod(0o755)
    (folder / "..data").symlink_to(now.name)
    for name, content in files.items():
        path = now / name
        path.write_bytes(content)
        path.chmod(mode)
        shutil.chown(path, 0, group)
        (folder / name).symlink_to(f"..data/{name}")
