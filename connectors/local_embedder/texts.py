"""What this connector says to people."""

from __future__ import annotations

WORKS = "Every model in the folder was loaded and makes vectors."
NO_LIBRARY = (
    "onnxruntime or tokenizers cannot be loaded on this machine. Install Patchcord's locked packages anew."
)  # fmt: skip
NO_FOLDER = (
    "There is no such folder on this machine. Enter its whole path, as Patchcord's processes see it; a container sees only "
    "what was mounted."
)
NO_MODELS = (
    "No model lies in the folder. Fetch one with ./patchcord fetch-model multilingual-e5-small, or put a folder with "
    "model.onnx and tokenizer.json there."
)
NO_SUCH_MODEL = (
    "No model of this name lies in the folder. Write the name of a folder in it, or fetch the model with ./patchcord "
    "fetch-model."
)
NO_ONNX = (
    "The folder of the model has no model.onnx. Fetch it with ./patchcord fetch-model, or export the model to ONNX and put "
    "the file there."
)
NO_TOKENIZER = "The folder of the model has no tokenizer.json. Put the file there that came with the model."
DAMAGED = "The model cannot be loaded: a file is damaged or a part is missing. Put the folder there anew."
NOT_FOR_TEXTS = (
    "This is not a model that makes one vector of a text. Choose a sentence model, such as multilingual-e5-small."
)
HAS_LAYERS_BESIDE = "This model has layers that its ONNX file leaves out, so its vectors would be wrong. Export it whole, or choose another."
CHANGED = "The files of the model were changed while it was in use. Put the new ones into a folder of another name and choose that."
CRASHED = (
    "The program that makes vectors ended unexpectedly; perhaps memory ran out. It is started again with the next text."
)
SLOW = "The model on this machine is too slow at the moment. Give it more cores, or choose a smaller one."
