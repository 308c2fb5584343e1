"""Writes log_mel.safetensors beside this file: what the reference front ends make of half a second of sound.

    python3 tests/golden/make_log_mel.py    needs Python with PyTorch 2, NumPy, openai-whisper and kaldi-native-fbank

    sound      f32 [samples] at 16000 Hz: a rising tone, its octave and noise, then silence; 16-bit integers over 32768
    whisper    f32 [frames, 80]: whisper.audio.log_mel_spectrogram
    kaldi      f32 [frames, 80]: fbank of the sound times 32768, without dither
    kaldi_8k   f32 [frames, 40]: the same of the samples at 8000 Hz
"""

import pathlib

import kaldi_native_fbank as knf
import numpy as np
import whisper.audio
from golden import write_safetensors


def make_sound():
    t = np.arange(8000) / 16000
    tone = np.sin(2 * np.pi * (200 * t + 3000 * t * t)) + 0.3 * np.sin(2 * np.pi * (400 * t + 6000 * t * t))
    sound = 0.3 * tone + 0.01 * np.random.default_rng(1).standard_normal(len(t)) + 0.02  # an offset, too
    sound[6000:7000] = 0
    return (np.round(sound * 32768) / 32768).astype(np.float32)


def fbank(sound, rate, bins):
    options = knf.FbankOptions()
    options.frame_opts.samp_freq = rate
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = bins
    of = knf.OnlineFbank(options)
    of.accept_waveform(rate, (sound * 32768).tolist())
    of.input_finished()
    return np.stack([of.get_frame(i) for i in range(of.num_frames_ready)]).astype(np.float32)


if __name__ == "__main__":
    sound = make_sound()
    write_safetensors(pathlib.Path(__file__).with_name("log_mel.safetensors"), {
        "sound": sound, "whisper": whisper.audio.log_mel_spectrogram(sound).numpy().T,
        "kaldi": fbank(sound, 16000, 80), "kaldi_8k": fbank(sound, 8000, 40)})
