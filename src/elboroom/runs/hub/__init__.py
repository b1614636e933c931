"""Models as folders in the conventions of the Hugging Face Hub: written, read, sent and fetched."""

from elboroom.runs.hub.folder import save_pretrained
from elboroom.runs.hub.pretrained import from_pretrained
from elboroom.runs.hub.upload import push_to_hub

__all__ = ["from_pretrained", "push_to_hub", "save_pretrained"]
