"""The embedded model: a real Qwen2.5-VL architecture, small enough to ship, and how it was trained.

``tiny`` shows the *shape* of semantic fixation because it was trained to: it only ever saw the
standard rule. ``tiny-joint`` saw both rules. Neither says anything about why large models fixate.
"""
