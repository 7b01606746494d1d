"""Authorised groups: who is in one, who cannot be, and the pages on which a supervisor says so."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from accounts.roles import Role
from biometrics.errors import GroupMemberUnusable, GroupNameUnusable
from biometrics.groups import add_member, make_group, remove_member, rename_group
from biometrics.models import AuthorisedGroup, Person, PersonKind


@pytest.fixture
def desk(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_user("sofia", role=Role.SUPERVISOR))
    return client


def test_a_group_has_a_name_of_its_own_without_stray_spaces(carla: User) -> None:
    group = make_group(name="  Cold   store ", made_by=carla)
    assert group.name == "Cold store"
    for name in ("", "   ", "x" * 81, "Cold store"):
        with pytest.raises(GroupNameUnusable):
            make_group(name=name, made_by=carla)
    other = make_group(name="Dock", made_by=carla)
    with pytest.raises(GroupNameUnusable):
        rename_group(group=other, name="Cold store")
    assert AuthorisedGroup.objects.get(pk=other.pk).name == "Dock"
    assert rename_group(group=other, name="Dock 4").name == "Dock 4"


def test_members_come_and_go(carla: User, ignacio: Person, lucia: Person) -> None:
    group = make_group(name="Dock", made_by=carla)
    for person in (ignacio, ignacio, lucia):
        add_member(group=group, person=person)
    assert set(group.members.all()) == {ignacio, lucia}
    remove_member(group=group, person=lucia)
    remove_member(group=group, person=lucia)
    assert list(group.members.all()) == [ignacio]


@pytest.mark.parametrize("state", [{"exempt": True}, {"kind": PersonKind.WATCHLISTED}])
def test_whose_face_is_not_compared_is_in_no_group(carla: User, ignacio: Person, state: dict) -> None:
    group = make_group(name="Dock", made_by=carla)
    Person.objects.filter(pk=ignacio.pk).update(**state)
    with pytest.raises(GroupMemberUnusable):
        add_member(group=group, person=ignacio)
    assert not group.members.exists()


# Pages --------------------------------------------------------------------------------------------------------------


def test_a_supervisor_makes_a_group_finds_somebody_and_puts_them_in(desk: Client, enrolled: Person) -> None:
    made = desk.post(reverse("groups"), {"name": "Cold store"})
    group = AuthorisedGroup.objects.get()
    page = reverse("group", args=[group.pk])
    assert made.url == page
    found = desk.post(page, {"name": "peralta"}).content.decode()
    assert "Put Ignacio Peralta Quintanilla in" in found
    assert "Nobody outside the group" in desk.post(page, {"name": "zapata"}).content.decode()
    desk.post(reverse("group_add", args=[group.pk, enrolled.pk]))
    shown = desk.get(page).content.decode()
    assert "1 member; 1 with an enrolled face." in shown
    assert "Ignacio Peralta Quintanilla" in shown
    assert "Nobody outside the group" in desk.post(page, {"name": "peralta"}).content.decode()
    desk.post(reverse("group_remove", args=[group.pk, enrolled.pk]))
    assert "Nobody is in the group yet." in desk.get(page).content.decode()


def test_a_name_that_is_taken_is_refused_on_the_page(desk: Client, carla: User) -> None:
    make_group(name="Cold store", made_by=carla)
    refused = desk.post(reverse("groups"), {"name": "Cold store"})
    assert refused.status_code == 400
    assert "group_name_unusable" in refused.content.decode()


@pytest.mark.parametrize("who", ["ana", "beto", "olga"])
def test_only_those_who_keep_people_see_groups(who: str, request: pytest.FixtureRequest, client: Client) -> None:
    client.force_login(request.getfixturevalue(who))
    assert client.get(reverse("groups")).status_code == 403
