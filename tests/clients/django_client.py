"""Django with PyMySQL, or with mysqlclient where that is installed: django_client.py HOST PORT TABLE"""

import sys

from common import is_direct, reads_go_to_a_replica

try:
    import MySQLdb  # noqa: F401
except ImportError:
    import pymysql

    pymysql.version_info = (2, 2, 1, "final", 0)
    pymysql.install_as_MySQLdb()

import django
from django.apps import AppConfig
from django.conf import settings


class Guests(AppConfig):
    name, label = "__main__", "guests"


host, port, table = sys.argv[1], int(sys.argv[2]), sys.argv[3]
database = dict(ENGINE="django.db.backends.mysql", HOST=host, PORT=port, USER="app", PASSWORD="app", NAME="guestbook")
database |= dict(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True, OPTIONS=dict(charset="utf8mb4"))
settings.configure(DATABASES=dict(default=database), USE_TZ=True, INSTALLED_APPS=["__main__.Guests"], DEFAULT_AUTO_FIELD="django.db.models.BigAutoField")
django.setup()

from django.db import IntegrityError, ProgrammingError, close_old_connections, connection, migrations, models, transaction  # noqa: E402
from django.db.migrations.state import ProjectState  # noqa: E402
from django.db.models import Count, F, Q  # noqa: E402
from django.utils import timezone  # noqa: E402


class Guest(models.Model):
    name = models.CharField(max_length=50, unique=True, null=True)
    paid = models.DecimalField(max_digits=10, decimal_places=2, default=0)
    seen = models.DateTimeField(null=True)
    about = models.JSONField(null=True)
    photo = models.BinaryField(null=True)
    stay = models.DurationField(null=True)

    class Meta:
        app_label, db_table = "guests", f"{table}_guest"


class Visit(models.Model):
    guest = models.ForeignKey(Guest, on_delete=models.CASCADE, related_name="visits")
    day = models.DateField(null=True)

    class Meta:
        app_label, db_table = "guests", f"{table}_visit"


def migrate():
    """As `migrate` does it: create the models, then change them and move data."""

    def fill(apps, _):
        apps.get_model("guests", "Guest").objects.create(name="from a migration")

    def fields(model):
        return [(field.name, field.clone()) for field in model._meta.local_fields]

    steps = [
        migrations.CreateModel("Guest", fields(Guest), dict(db_table=f"{table}_guest")),
        migrations.CreateModel("Visit", fields(Visit), dict(db_table=f"{table}_visit")),
        migrations.AddField("Visit", "note", models.CharField(max_length=20, default="none")),
        migrations.RunPython(fill),
        migrations.AddIndex("Visit", models.Index(fields=["day"], name=f"{table[:20]}_day")),
        migrations.RemoveField("Visit", "note"),
    ]
    state = ProjectState()
    for step in steps:
        before, state = state, state.clone()
        step.state_forwards("guests", state)
        with connection.schema_editor(atomic=False) as editor:
            step.database_forwards("guests", editor, before, state)


def query_models():
    now = timezone.now()
    guest = Guest.objects.create(name="ä it's", paid="12.34", seen=now, about={"a": [1, None]}, photo=b"\x00\xff", stay=timezone.timedelta(days=3))
    Visit.objects.bulk_create([Visit(guest=guest, day=now.date()) for _ in range(3)])
    again = Guest.objects.prefetch_related("visits").get(pk=guest.pk)
    assert (again.name, str(again.paid), again.seen, again.about) == ("ä it's", "12.34", now, {"a": [1, None]})
    assert bytes(again.photo) == b"\x00\xff" and again.stay == guest.stay and len(again.visits.all()) == 3
    assert Guest.objects.filter(Q(about__a__0=1) | Q(name="none")).count() == 1
    assert Guest.objects.annotate(n=Count("visits")).get(pk=guest.pk).n == 3
    assert Guest.objects.filter(pk=guest.pk).update(paid=F("paid") + 1) == 1
    assert Guest.objects.get_or_create(name="from a migration")[1] is False
    assert Guest.objects.update_or_create(name="new", defaults=dict(paid=2))[1] is True
    assert {guest.name for guest in Guest.objects.iterator(chunk_size=1)} == {"from a migration", "new", "ä it's"}


def transactions():
    with transaction.atomic():
        Guest.objects.select_for_update().get(name="new")
        try:
            with transaction.atomic():
                Guest.objects.create(name="lost")
                Guest.objects.create(name="new")
            raise AssertionError("a duplicate was let in")
        except IntegrityError as failure:
            assert failure.args[0] == 1062, failure
        Guest.objects.create(name="kept")
    try:
        with transaction.atomic():
            Guest.objects.all().delete()
            raise KeyError
    except KeyError:
        pass
    assert set(Guest.objects.values_list("name", flat=True)) == {"from a migration", "new", "ä it's", "kept"}
    done = []
    with transaction.atomic(durable=True):
        transaction.on_commit(lambda: done.append(1))
    assert done == [1]
    try:
        connection.cursor().execute("SELECT * FROM no_such_table")
        raise AssertionError("no error")
    except ProgrammingError as failure:
        assert failure.args[0] == 1146, failure


def requests():
    """Between two requests Django keeps the connection, and asks whether it still lives."""

    def query(sql):
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    for _ in range(3):
        close_old_connections()
        assert Guest.objects.count() == 4
        if not is_direct():
            reads_go_to_a_replica(query)
    assert {f"{table}_guest", f"{table}_visit"} <= set(connection.introspection.table_names())


migrate()
query_models()
transactions()
requests()
connection.close()
print("good")
