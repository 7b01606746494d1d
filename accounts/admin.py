"""Accounts are rare to change: Django's own admin serves."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from accounts.models import User


@admin.register(User)
class AccountAdmin(UserAdmin):
    list_display = ("username", "role", "is_active", "last_login")
    list_filter = ("role", "is_active")
    fieldsets = (*(UserAdmin.fieldsets or ()), ("Custody", {"fields": ("role",)}))
    add_fieldsets = (*UserAdmin.add_fieldsets, ("Custody", {"fields": ("role",)}))
