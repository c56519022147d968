"""Kernels of attnc from Python: compiled to shared objects and called through ctypes on the DLPack
structures of tensors, without a copy."""
import ctypes
import os
import subprocess

import torch

POINTER = ctypes.c_void_p


class Exec(ctypes.Structure):
    """attn_exec of runtime/attn.h."""
    _fields_ = [("workspace", POINTER), ("workspace_size", ctypes.c_size_t),
                ("threads", ctypes.c_int), ("flags", ctypes.c_uint32),
                ("parallel_for", POINTER), ("ctx", POINTER), ("zero_row", ctypes.c_int64)]


class State(ctypes.Structure):
    """attn_state of runtime/attn.h."""
    _fields_ = [("kernel", POINTER), ("capacity", ctypes.c_int64), ("position", ctypes.c_int64),
                ("dims", ctypes.c_int64 * 64), ("data", POINTER), ("bytes", ctypes.c_size_t)]


capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
capsule_pointer.restype = POINTER
capsule_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]


class Tensor:
    """The DLTensor of a torch tensor. A DLManagedTensor begins with it."""

    def __init__(self, tensor):
        self.capsule = tensor.__dlpack__()
        self.pointer = capsule_pointer(self.capsule, b"dltensor")


class Library:
    """libattn of a build, the compiler beside it and the kernels compiled so far."""

    def __init__(self, build, threads):
        self.build = build
        self.exec = Exec(threads=threads)
        self.attn = ctypes.CDLL(os.path.join(build, "runtime", "libattn.so"), ctypes.RTLD_GLOBAL)
        self.attn.attn_message.restype = ctypes.c_char_p
        self.attn.attn_launch.argtypes = [POINTER, ctypes.c_int, POINTER, POINTER, POINTER]
        self.attn.attn_step.argtypes = [POINTER] * 5
        self.attn.attn_state_init.argtypes = [POINTER, POINTER, ctypes.c_int64]
        self.attn.attn_state_free.argtypes = [POINTER]
        self.attn.attn_state_free.restype = None
        self.attn.attn_state_reset.argtypes = [POINTER]
        self.attn.attn_state_reset.restype = None

    def fail_if(self, rc):
        """Raises what the library says of its last failing call."""
        if rc:
            raise RuntimeError(self.attn.attn_message().decode())

    def compile(self, source, defines=(), flags=("--mcpu=native",)):
        """The shared object of a program, made anew if older than compiler or source."""
        attnc = os.path.join(self.build, "attnc")
        name = "_".join([os.path.basename(source).removesuffix(".attn"), *defines]) + ".so"
        out = os.path.join(self.build, "bench", "compiled", name.replace("=", ""))
        os.makedirs(os.path.dirname(out), exist_ok=True)
        newest = max(os.path.getmtime(attnc), os.path.getmtime(source))
        if not os.path.exists(out) or os.path.getmtime(out) < newest:
            command = [attnc, source, *flags, "-o", out]
            for define in defines:
                command += ["-D", define]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(done.stderr.strip())
        return out

    def kernel(self, source, defines=(), scalars=()):
        """A compiled program, ready to be called."""
        return Kernel(self, source, defines, scalars)


class Kernel:
    """One program: forward on tensors, or a state for steps."""

    def __init__(self, library, source, defines, scalars):
        self.library = library
        self.shared = ctypes.CDLL(library.compile(source, defines))
        name = os.path.basename(source).removesuffix(".attn")
        self.kernel = ctypes.addressof(ctypes.c_char.in_dll(self.shared, name + "_kernel"))
        self.scalars = (ctypes.c_double * max(len(scalars), 1))(*scalars)

    def forward(self, q, k, v, *params):
        """A call without arguments that computes the output in a tensor of its own each time."""
        held = [Tensor(t) for t in (q, k, v, *params)]
        shape = (*q.shape[:3], v.shape[3])
        launch, execution = self.library.attn.attn_launch, ctypes.byref(self.library.exec)

        def run():
            out = torch.empty(shape)
            o = Tensor(out)
            pointers = [t.pointer for t in held]
            pointers.insert(3, o.pointer)
            array = (POINTER * len(pointers))(*pointers)
            self.library.fail_if(launch(self.kernel, 0, array, self.scalars, execution))
            return out
        return run

    def stepper(self, q, k, v):
        """A call (t) that runs token t of q, k, v [b, h, T, D] after those seen, and returns its
        output; the structures are made beforehand, as a decoding loop would."""
        state = State()
        attn, execution = self.library.attn, ctypes.byref(self.library.exec)
        self.library.fail_if(attn.attn_state_init(ctypes.byref(state), self.kernel, 0))
        tokens = q.shape[2]
        outs = [torch.empty(*q.shape[:2], 1, v.shape[3]) for _ in range(tokens)]
        held, arrays = [], []
        for t in range(tokens):
            four = [Tensor(x[:, :, t:t + 1]) for x in (q, k, v)] + [Tensor(outs[t])]
            held.append(four)
            arrays.append((POINTER * 4)(*[x.pointer for x in four]))

        def step(t, hold=held):
            rc = attn.attn_step(ctypes.byref(state), self.kernel, arrays[t], self.scalars,
                                execution)
            if rc:
                self.library.fail_if(rc)
            return outs[t]
        return step


class Peak:
    """The rate of register-only multiply-adds: frontend/driver/measure.c as a shared object."""

    def __init__(self, library, root):
        out = os.path.join(library.build, "bench", "measure.so")
        source = os.path.join(root, "frontend", "driver", "measure.c")
        if not os.path.exists(out) or os.path.getmtime(out) < os.path.getmtime(source):
            subprocess.run(["cc", "-O2", "-march=native", "-ffp-contract=fast", "-fopenmp",
                            "-shared", "-fPIC", "-I" + os.path.join(root, "runtime"), "-I" + root,
                            source, "-o", out], check=True)
        self.measure = ctypes.CDLL(out).measure_peak
        self.measure.restype = ctypes.c_double
        self.isa = library.attn.attn_isa_level()
        self.threads = library.exec.threads

    def __call__(self):
        """FLOP/s of all threads together."""
        return self.measure(self.isa, self.threads)
