"""Plans batches of a recipe's kinds; batch number n has the same plan in every run."""

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from cvunet.training.gpu import distractions, draws, views, windows
from cvunet.training.gpu.distractions import choose, spots_of_people
from cvunet.training.gpu.draws import pick, whole
from cvunet.training.gpu.plans import Hidden, Layer, Plan, Swap
from cvunet.training.gpu.roster import Roster
from cvunet.training.gpu.windows import Floats, Numbers
from cvunet.training.recipe import Recipe

SHARP_SHARE = 16
"""One sample of so many is made from sharp pictures."""
SALIENT, PEOPLE, COMPOSITE, EMPTY = range(4)


class Planner:
    """Plans a recipe's batches from a roster; ``sharp`` gives the first samples of each."""

    def __init__(self, recipe: Recipe, every: Roster, sharp: Roster) -> None:
        self.recipe = recipe
        self.seed = recipe.seed
        self.changes = recipe.augmentation
        self.every = every
        self.sharp = sharp
        mixture = recipe.mixture
        kinds = np.array([mixture.salient, mixture.people, mixture.composite, mixture.empty])
        self.kinds = kinds / kinds.sum()

    def plan(self, number: int, *, count: int, size: int) -> Plan:
        """Batch ``number`` of ``count`` samples of ``size`` px."""
        rng = np.random.default_rng([self.seed, number])
        kinds = rng.choice(4, count, p=self.kinds)
        base = self.bases(rng, kinds)
        is_photo = kinds <= PEOPLE
        photos = np.flatnonzero(is_photo)
        grounds = np.flatnonzero(~is_photo)
        composites = np.flatnonzero(kinds == COMPOSITE)
        is_soft = self.every.is_soft[base] | ~is_photo
        hard = photos[~is_soft[photos]]
        swapped = pick(rng, hard, self.changes.swap)
        is_soft[swapped] = True
        unswapped = np.setdiff1d(photos, swapped)
        beside = pick(rng, unswapped, self.changes.negatives)
        behind = pick(rng, grounds, self.changes.negatives)
        studio = pick(rng, composites, 0.22)
        maker = distractions.Distractions(self.every, size)
        return Plan(
            size=size,
            base=self.base_views(rng, base, is_photo, size=size),
            grounds=whole(grounds),
            ground_light=draws.light(rng, np.setdiff1d(grounds, studio)),
            studio=draws.studio(rng, studio),
            hidden=self.hidden(rng, base, photos),
            swap=self.swap(rng, swapped, size),
            beside=maker.draw(rng, beside, is_letters=np.zeros(len(beside), bool)),
            behind=maker.draw(rng, behind, is_letters=kinds[behind] == EMPTY),
            composites=whole(composites),
            layers=self.layers(rng, composites, behind, size=size),
            is_soft=torch.from_numpy(is_soft),
            wear=draws.wear(rng, count, size, self.changes.wear),
        )

    def bases(self, rng: Generator, kinds: Numbers) -> Numbers:
        """Draw the picture that each sample begins with."""
        chosen = np.zeros(len(kinds), np.int64)
        sharp = max(1, len(kinds) // SHARP_SHARE)
        for roster, span in ((self.sharp, slice(0, sharp)), (self.every, slice(sharp, None))):
            lists = (roster.salient, roster.people, roster.backgrounds, roster.empty)
            for kind, one in enumerate(lists):
                places = np.flatnonzero(kinds[span] == kind)
                chosen[span][places] = one.some(rng, len(places))
        return chosen

    def base_views(
        self, rng: Generator, base: Numbers, is_photo: NDArray[np.bool_], *, size: int
    ) -> views.Views:
        """Draw windows of photos and squares of grounds."""
        gallery, count = self.every.gallery, len(base)
        known = windows.subjects(gallery, base)
        drawn = windows.draw(rng, known, self.changes)
        width, height = gallery.sizes[base].T.astype(np.float64)
        side = np.minimum(width, height) * rng.uniform(0.5, 1.0, count)
        left, top = rng.random(count) * (width - side), rng.random(count) * (height - side)
        is_turned = is_photo & (rng.random(count) < self.changes.rotate)
        degrees: Floats = np.where(is_turned, rng.uniform(-15, 15, count), 0.0)
        squares = windows.Windows(top, left, side, side)
        chosen = windows.Windows(
            *(
                np.where(is_photo, mine, theirs)
                for mine, theirs in zip(drawn.fields(), squares.fields(), strict=True)
            )
        )
        is_flipped = rng.random(count) < 0.5
        return views.through(base, chosen, size=size, is_flipped=is_flipped, degrees=degrees)

    def hidden(self, rng: Generator, pictures: Numbers, places: Numbers) -> Hidden:
        """Draw boxes on some of the photos."""
        chosen = pick(rng, places, self.changes.hide)
        is_person = self.every.is_person[pictures[chosen]]
        return spots_of_people(rng, self.every.gallery, pictures, chosen, is_person=is_person)

    def swap(self, rng: Generator, places: Numbers, size: int) -> Swap:
        """Plan other backgrounds for these photos."""
        count = len(places)
        scenes = self.every.backgrounds.some(rng, count)
        every = np.arange(count)
        return Swap(
            places=whole(places),
            scenes=views.squares(rng, self.every.gallery, scenes, size),
            light=draws.light(rng, every),
            matched=draws.floats(rng.uniform(0, 0.6, count)),
            low=draws.low(rng, pick(rng, every, self.changes.lowers)),
        )

    def layers(
        self, rng: Generator, composites: Numbers, behind: Numbers, *, size: int
    ) -> tuple[Layer, Layer]:
        """The first foreground of each composite, and some second ones."""
        is_main = np.isin(composites, behind)
        second = rng.random(len(composites)) < 0.15
        none = np.zeros(int(second.sum()), bool)
        every, lowers = np.arange(len(composites)), self.changes.lowers
        first = self.layer(rng, every, is_main=is_main, lowers=lowers, size=size)
        return first, self.layer(rng, every[second], is_main=none, lowers=0.0, size=size)

    def layer(
        self,
        rng: Generator,
        places: Numbers,
        *,
        is_main: NDArray[np.bool_],
        lowers: float,
        size: int,
    ) -> Layer:
        """Draw one foreground for each of these composites."""
        count, every = len(places), np.arange(len(places))
        is_sharp = rng.random(count) < 1 / SHARP_SHARE
        number = np.where(
            is_sharp,
            self.sharp.foregrounds.some(rng, count),
            self.every.foregrounds.some(rng, count),
        )
        is_person = self.every.is_person[number]
        is_haired = is_person & (rng.random(count) < self.changes.strands)
        number = np.where(is_haired, self.every.with_hair[number], number)
        hidden = pick(rng, every[is_person], self.changes.hide)
        blurred = pick(rng, every, self.changes.blurs)
        gallery = self.every.gallery
        return Layer(
            places=whole(places),
            views=views.put(rng, gallery, number, self.spots(rng, number, is_main, size)),
            hidden=spots_of_people(
                rng, gallery, number, hidden, is_person=np.ones(len(hidden), bool)
            ),
            matched=draws.floats(rng.uniform(0, 0.6, count)),
            low=draws.low(rng, pick(rng, every, lowers)),
            blurred=whole(blurred),
            deviation=draws.floats(rng.uniform(0.3, 1.0, len(blurred))),
            shadow=draws.shadow(rng, pick(rng, every, 0.35), size),
        )

    def spots(
        self, rng: Generator, number: Numbers, is_main: NDArray[np.bool_], size: int
    ) -> views.Spots:
        """Where foregrounds lie: leaving the frame, large beside a negative, or anywhere."""
        count = len(number)
        is_leaving = rng.random(count) < self.changes.leaves
        spots = choose(is_main, views.large(rng, count, size), views.anywhere(rng, count, size))
        return choose(is_leaving, views.leaving(rng, self.every.gallery, number, size), spots)
