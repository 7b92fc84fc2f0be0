"""Makes one training sample; all randomness comes from the generator passed in."""

import numpy as np
from numpy.random import Generator

from cvunet.errors import TrainingError
from cvunet.training import augment, composites, hiding, negatives, shards, strands
from cvunet.training.augment import FloatPixels, chance
from cvunet.training.recipe import Mixture, Recipe
from cvunet.training.samples import Photo, Sample, Sources, load_photo, shares_of, source, tensors
from cvunet.training.shards import Member, Pixels

WITH_HEADS = ("ccp_people",)
"""Foregrounds of standing people: only of these it is certain that the head is at the top."""
PEOPLE = ("ccp", "ccp640", "hs")
"""Sources of photos of people; the others of that kind are cars."""
FAINTEST = 3.0
"""Smallest standard deviation of levels in a picture that still shows something."""
NEGATIVES = ("lettering", "poster", "statue", "second")


class Maker:
    """Makes samples of a recipe's kinds."""

    def __init__(self, sources: Sources, recipe: Recipe, mixture: Mixture) -> None:
        """`TrainingError` if no foreground that the recipe names is there."""
        self.sources = sources
        self.empty = sources.empty() or sources.backgrounds
        self.changes = recipe.augmentation
        weights = recipe.foreground_weights
        sets = {n: w for n, w in weights.items() if n in sources.foregrounds}
        if not sets:
            raise TrainingError("foreground_weights names no set that the shards hold")
        shares = np.array([w * len(sources.foregrounds[name]) for name, w in sets.items()])
        self.sets, self.shares = list(sets), shares / shares.sum()
        present = {source(photo) for photo in sources.people}
        known = {n: w for n, w in recipe.people_weights.items() if n in present}
        self.people_shares = shares_of(sources.people, known)
        kinds = np.array([mixture.salient, mixture.people, mixture.composite, mixture.empty])
        self.kinds = kinds / kinds.sum()

    def make(self, rng: Generator, size: int) -> Sample:
        """One sample SxS of a kind drawn by the mixture; `BadMember` if it cannot be decoded."""
        kind = rng.choice(4, p=self.kinds)
        if kind == 0:
            photo = self.sources.salient[rng.integers(len(self.sources.salient))]
            return self.photo(rng, photo, size)
        if kind == 1:
            drawn = rng.choice(len(self.sources.people), p=self.people_shares)
            return self.photo(rng, self.sources.people[drawn], size)
        return self.composite(rng, size) if kind == 2 else self.nothing(rng, size)

    def photo(self, rng: Generator, photo: Photo, size: int) -> Sample:
        """A photo cropped, rotated and degraded; resized to the square as the predictor does it."""
        rgb, alpha = load_photo(photo)
        changes = self.changes
        is_person = source(photo) in PEOPLE
        if changes.hide and chance(rng, changes.hide):
            rgb = hiding.hide(rng, rgb, alpha, is_person=is_person)
        window = self.window(rng, alpha)
        rgb, alpha = rgb[window], alpha[window]
        if chance(rng, 0.5):
            rgb, alpha = rgb[:, ::-1], alpha[:, ::-1]
        rgb, alpha = (
            augment.resize(np.ascontiguousarray(pixels), width=size, height=size)
            for pixels in (rgb, alpha)
        )
        if chance(rng, changes.rotate):
            rgb, alpha = augment.rotate(rng, rgb, alpha)
        # A soft matte's rim holds colours of the old background, so those photos keep theirs.
        # Without swaps no random number is drawn, so samples of older recipes do not change.
        if changes.swap and not photo.is_soft and chance(rng, changes.swap):
            made = composites.change_ground(
                rng, rgb, alpha, self.scene(rng, size), lowers=changes.lowers
            )
            return self.laid(rng, made)
        if changes.negatives and chance(rng, changes.negatives):
            rgb = negatives.beside(rgb, alpha, self.negative(rng, size))
        return tensors(self.wear(rng, rgb), alpha, is_soft=photo.is_soft)

    def window(self, rng: Generator, alpha: Pixels) -> tuple[slice, slice]:
        """Rows and columns to cut out of a photo."""
        changes = self.changes
        drawn = rng.random()
        if drawn < changes.zoom:
            return augment.draw_zoom(rng, alpha)
        if drawn < changes.zoom + changes.crop:
            return augment.draw_crop(rng, alpha)
        if drawn < changes.zoom + changes.crop + changes.leaves:
            return augment.draw_leaving(rng, alpha)
        return slice(None), slice(None)

    def wear(self, rng: Generator, rgb: Pixels) -> Pixels:
        """Most pictures are degraded as by cameras and the web; some stay as they are."""
        return augment.wear(rng, rgb) if chance(rng, self.changes.wear) else rgb

    def composite(self, rng: Generator, size: int) -> Sample:
        """One or two foregrounds over a background or a studio backdrop."""
        changes = self.changes
        has_studio = chance(rng, 0.22)
        background = composites.studio(rng, size) if has_studio else self.scene(rng, size)
        count = 2 if chance(rng, 0.15) else 1
        foregrounds = [self.foreground(rng) for _ in range(count)]
        behind = []
        if changes.negatives and chance(rng, changes.negatives):
            behind.append(self.negative(rng, size))
        chances = composites.Chances(changes.blurs, changes.leaves, changes.lowers)
        made = composites.compose(rng, foregrounds, background, chances=chances, negatives=behind)
        return self.laid(rng, made)

    def nothing(self, rng: Generator, size: int) -> Sample:
        """A background without a subject; there may be letters on it."""
        member = self.empty[rng.integers(len(self.empty))]
        background = composites.backdrop(rng, shards.decode_rgb(member), size)
        letters = []
        if self.changes.negatives and chance(rng, self.changes.negatives):
            letters.append(negatives.lettering(rng, size))
        return self.laid(rng, composites.compose(rng, [], background, negatives=letters))

    def laid(self, rng: Generator, made: composites.Composite) -> Sample:
        """A composite as a sample, degraded like a photo."""
        rgb = self.wear(rng, made.rgb)
        if rgb.std() < FAINTEST:  # degraded until nothing can be seen
            rgb = made.rgb
        return tensors(rgb, made.alpha, is_soft=True, contrast=made.contrast)

    def scene(self, rng: Generator, size: int) -> Pixels:
        """A square of a picture to composite on."""
        member = self.sources.backgrounds[rng.integers(len(self.sources.backgrounds))]
        return composites.backdrop(rng, shards.decode_rgb(member), size)

    def foreground(self, rng: Generator) -> Pixels:
        """A cut-out; a person's may have loose hair or a hidden face."""
        name, member = self.draw_foreground(rng)
        rgba = shards.decode_rgba(member)
        if name not in WITH_HEADS:
            return rgba
        if self.changes.hide and chance(rng, self.changes.hide):
            hidden = hiding.hide(rng, rgba[..., :3], rgba[..., 3], is_person=True)
            rgba = np.dstack([hidden, rgba[..., 3]])
        if self.changes.strands and chance(rng, self.changes.strands):
            rgba = strands.crown(rng, rgba)
        return rgba

    def draw_foreground(self, rng: Generator) -> tuple[str, Member]:
        """A set by its weight, then one of its members."""
        name = self.sets[rng.choice(len(self.sets), p=self.shares)]
        members = self.sources.foregrounds[name]
        return name, members[rng.integers(len(members))]

    def negative(self, rng: Generator, size: int) -> FloatPixels:
        """Something that stays background."""
        kind = NEGATIVES[rng.integers(len(NEGATIVES))]
        if kind == "lettering":
            return negatives.lettering(rng, size)
        if kind == "poster":
            photos = self.sources.salient
            rgb, _ = load_photo(photos[rng.integers(len(photos))])
            return negatives.poster(rng, rgb, size)
        _, member = self.draw_foreground(rng)
        make = negatives.statue if kind == "statue" else negatives.second
        return make(rng, shards.decode_rgba(member), size)
